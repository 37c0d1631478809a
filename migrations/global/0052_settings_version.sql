-- What a tenant decides for its people is edited by others than its name and its state, and has a version of its own.
ALTER TABLE gc.tenant ADD COLUMN settings_version bigint NOT NULL DEFAULT 1;
CREATE FUNCTION gc.raise_settings_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.settings_version := OLD.settings_version + 1;
  RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION gc.raise_settings_version() FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;
CREATE TRIGGER tenant_settings_version BEFORE UPDATE OF second_factor_required ON gc.tenant
  FOR EACH ROW EXECUTE FUNCTION gc.raise_settings_version();
