-- What can be edited has a version, which an edit names (If-Match). It rises with every change of what the thing shows,
-- whoever makes it, and so the database raises it.
CREATE FUNCTION gc.raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION gc.raise_version() FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;

ALTER TABLE gc.tenant ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE TRIGGER tenant_version BEFORE UPDATE OF name, state ON gc.tenant
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
ALTER TABLE gc.user ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE TRIGGER user_version BEFORE UPDATE OF display_name, state ON gc.user
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
ALTER TABLE gc.region ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE TRIGGER region_version BEFORE UPDATE OF name, url, console_url, lifecycle ON gc.region
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
ALTER TABLE gc.membership ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE TRIGGER membership_version BEFORE UPDATE OF roles, regions, until_at, ended_at ON gc.membership
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
ALTER TABLE gc.entitlement ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE TRIGGER entitlement_version BEFORE UPDATE OF until_at, clusters, hosts, leases, ended_at ON gc.entitlement
  FOR EACH ROW EXECUTE FUNCTION gc.raise_version();
