-- Roles that people hold in one cluster: made here, known here alone. A row says from when to when it held: until the earlier of its
-- own end and the moment at which it was taken away.
CREATE TABLE gw.binding (
  tenant_id     uuid NOT NULL,
  cluster_id    uuid NOT NULL,
  id            uuid NOT NULL,
  user_id       uuid NOT NULL,
  -- it gives something only while this is the person's membership
  membership_id uuid NOT NULL,
  role          text NOT NULL,
  until_at      timestamptz,
  created_by    text NOT NULL,
  created_at    timestamptz NOT NULL,
  ended_by      text,
  ended_at      timestamptz,
  -- of the last change, among all changes of bindings
  seq           bigint NOT NULL,
  CONSTRAINT binding_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT binding_cluster_fkey FOREIGN KEY (tenant_id, cluster_id) REFERENCES gw.cluster (tenant_id, id)
);
CREATE UNIQUE INDEX binding_key ON gw.binding (tenant_id, cluster_id, user_id, membership_id, role) WHERE ended_at IS NULL;
CREATE INDEX binding_user ON gw.binding (tenant_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX binding_seq ON gw.binding (seq);
SELECT gw.protect('gw.binding', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, cluster_id, id, user_id, membership_id, role, until_at, ended_at, seq) ON gw.binding TO exarch_sweep;
CREATE POLICY binding_sweep ON gw.binding FOR SELECT TO exarch_sweep USING (true);

-- How many changes of bindings there were. One row, of no tenant: whoever changes a binding holds it until the commit, so that
-- changes become visible in the order of their numbers, and whoever has seen one has seen all before it.
CREATE TABLE gw.local_version (
  one      boolean PRIMARY KEY DEFAULT true,
  bindings bigint NOT NULL,
  CONSTRAINT local_version_one_check CHECK (one)
);
INSERT INTO gw.local_version (bindings) VALUES (0);
GRANT SELECT, UPDATE (bindings) ON gw.local_version TO exarch_app;

CREATE FUNCTION gw.number_binding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE gw.local_version SET bindings = bindings + 1 RETURNING bindings INTO NEW.seq;
  RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION gw.number_binding() FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;
CREATE TRIGGER numbers_binding BEFORE INSERT OR UPDATE ON gw.binding
  FOR EACH ROW EXECUTE FUNCTION gw.number_binding();
CREATE TRIGGER tells_binding AFTER INSERT OR UPDATE ON gw.binding
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_binding', 'gw_passport');
