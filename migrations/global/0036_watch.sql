-- Whoever watches a list is woken by its changes: a statement that changes what a list shows notifies the channels named here.
-- A notification only wakes; what is told is read from the tables.
CREATE FUNCTION gc.tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  channel text;
BEGIN
  FOREACH channel IN ARRAY TG_ARGV LOOP
    PERFORM pg_catalog.pg_notify(channel, '');
  END LOOP;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION gc.tell() FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;

-- gc_access: a session ended, or somebody's rights changed
CREATE TRIGGER tells_tenant AFTER INSERT OR UPDATE ON gc.tenant
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_tenant', 'gc_access');
CREATE TRIGGER tells_user AFTER INSERT OR UPDATE OF email_sealed, display_name, state ON gc.user
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_user');
CREATE TRIGGER tells_membership AFTER INSERT OR UPDATE ON gc.membership
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_membership', 'gc_access');
CREATE TRIGGER tells_staff_binding AFTER INSERT OR UPDATE ON gc.staff_binding
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_access');
CREATE TRIGGER tells_entitlement AFTER INSERT OR UPDATE ON gc.entitlement
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_entitlement');
CREATE TRIGGER tells_session AFTER INSERT ON gc.session
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_session');
CREATE TRIGGER tells_session_end AFTER UPDATE OF ended_at ON gc.session
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_session', 'gc_access');
CREATE TRIGGER tells_region AFTER INSERT OR UPDATE ON gc.region
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_region');
CREATE TRIGGER tells_region_health AFTER INSERT OR UPDATE ON gc.region_health
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_region');
CREATE TRIGGER tells_passport AFTER UPDATE OF version, acknowledged_version ON gc.passport
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_region');
CREATE TRIGGER tells_probe AFTER INSERT ON gc.probe
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_probe');
CREATE TRIGGER tells_audit AFTER INSERT ON gc.audit
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_audit');
