-- Whoever watches a list is woken by its changes: a statement that changes what a list shows notifies the channels named here.
-- A notification only wakes; what is told is read from the tables.
CREATE FUNCTION gw.tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  channel text;
BEGIN
  FOREACH channel IN ARRAY TG_ARGV LOOP
    PERFORM pg_catalog.pg_notify(channel, '');
  END LOOP;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION gw.tell() FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;

CREATE TRIGGER tells_cluster AFTER INSERT OR UPDATE ON gw.cluster
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_cluster');
CREATE TRIGGER tells_host AFTER INSERT OR UPDATE ON gw.host
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_host');
CREATE TRIGGER tells_resource AFTER INSERT OR UPDATE ON gw.resource
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_resource');
CREATE TRIGGER tells_workload AFTER INSERT OR UPDATE ON gw.workload
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_workload');
CREATE TRIGGER tells_assignment AFTER INSERT OR UPDATE ON gw.assignment
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_workload');
CREATE TRIGGER tells_bootstrap_token AFTER INSERT OR UPDATE ON gw.bootstrap_token
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_bootstrap_token');
-- Heartbeats and renewals are many and change little: those who watch look at them each second, and are not woken.
CREATE TRIGGER tells_agent AFTER INSERT OR UPDATE OF name, state, certificate_until ON gw.agent
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_agent');
CREATE TRIGGER tells_lease AFTER INSERT OR UPDATE OF state, actions ON gw.lease
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_lease');
CREATE TRIGGER tells_audit AFTER INSERT ON gw.audit
  FOR EACH STATEMENT EXECUTE FUNCTION gw.tell('gw_list_audit');
