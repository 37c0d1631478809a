-- Roles that a tenant makes for itself, out of explicit names. A membership, an invitation or a binding in a region names them; one
-- that ended gives nothing, and its name is free.
CREATE TABLE gc.role (
  tenant_id   uuid NOT NULL REFERENCES gc.tenant,
  id          uuid NOT NULL,
  name        text NOT NULL,
  -- where it is bound
  scope       text NOT NULL,
  description text NOT NULL,
  permissions text[] NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL,
  ended_at    timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT role_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  CONSTRAINT role_scope_check CHECK (scope IN ('tenant', 'cluster')),
  CONSTRAINT role_permissions_check CHECK (cardinality(permissions) BETWEEN 1 AND 256)
);
CREATE UNIQUE INDEX role_name_key ON gc.role (tenant_id, name) WHERE ended_at IS NULL;
SELECT gc.protect('gc.role', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, name, scope, permissions, ended_at) ON gc.role TO exarch_sweep;
CREATE POLICY role_sweep ON gc.role FOR SELECT TO exarch_sweep USING (true);
CREATE TRIGGER role_version BEFORE UPDATE OF description, permissions, ended_at ON gc.role
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
CREATE TRIGGER tells_role AFTER INSERT OR UPDATE ON gc.role
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_role', 'gc_access');
