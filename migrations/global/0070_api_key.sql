-- API keys of a tenant. A key rests on the membership of whoever made it, and gives nothing that this one does not hold when it is
-- used. Of its secret there is only the digest, and for a while after a rotation that of the one before.
CREATE TABLE gc.api_key (
  tenant_id      uuid NOT NULL REFERENCES gc.tenant,
  id             uuid NOT NULL,
  name           text NOT NULL,
  kind           text NOT NULL,
  -- the one region of a regional key
  region_id      uuid,
  membership_id  uuid NOT NULL,
  role           text NOT NULL,
  -- from where it may be used; from anywhere when empty
  cidrs          text[] NOT NULL,
  expires_at     timestamptz,
  verifier       bytea NOT NULL,
  rotated_at     timestamptz,
  -- the secret before the last rotation, and until when it is good
  previous       bytea,
  previous_until timestamptz,
  last_used_on   date,
  version        bigint NOT NULL DEFAULT 1,
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL,
  revoked_at     timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT api_key_membership_fkey FOREIGN KEY (tenant_id, membership_id) REFERENCES gc.membership (tenant_id, id),
  CONSTRAINT api_key_kind_check CHECK (kind IN ('regional', 'federated')),
  CONSTRAINT api_key_region_check CHECK ((kind = 'regional') = (region_id IS NOT NULL)),
  CONSTRAINT api_key_verifier_check CHECK (octet_length(verifier) = 32 AND octet_length(previous) = 32),
  CONSTRAINT api_key_previous_check CHECK ((previous IS NULL) = (previous_until IS NULL)),
  CONSTRAINT api_key_cidrs_check CHECK (cardinality(cidrs) <= 32)
);
CREATE UNIQUE INDEX api_key_name_key ON gc.api_key (tenant_id, name) WHERE revoked_at IS NULL;
SELECT gc.protect('gc.api_key', 'select', 'insert', 'update');
-- whose key it is that somebody presents
CREATE INDEX api_key_id ON gc.api_key (id);
GRANT SELECT (tenant_id, id, revoked_at) ON gc.api_key TO exarch_sweep;
CREATE POLICY api_key_sweep ON gc.api_key FOR SELECT TO exarch_sweep USING (true);
CREATE TRIGGER api_key_version BEFORE UPDATE OF name, cidrs, expires_at, verifier, revoked_at ON gc.api_key
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
CREATE TRIGGER tells_api_key AFTER INSERT OR UPDATE ON gc.api_key
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_api_key');
