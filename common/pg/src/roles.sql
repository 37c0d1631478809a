-- The five logins, for the database one is connected to. Run as a superuser, as often as one likes; passwords are set apart
-- from this. Each login is a member of nothing and has a pool of its own: no server ever switches roles.
DO $$
DECLARE
  login text;
BEGIN
  FOREACH login IN ARRAY ARRAY['exarch_owner', 'exarch_app', 'exarch_sweep', 'exarch_renew', 'exarch_operator'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = login) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I', login);
    END IF;
    EXECUTE pg_catalog.format(
      'ALTER ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION', login);
  END LOOP;
  EXECUTE pg_catalog.format('ALTER DATABASE %I OWNER TO exarch_owner', pg_catalog.current_database());
  -- no temporary tables either: one could stand in for a table that a query names without its schema
  EXECUTE pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
  EXECUTE pg_catalog.format(
    'GRANT CONNECT ON DATABASE %I TO exarch_app, exarch_sweep, exarch_renew, exarch_operator',
    pg_catalog.current_database());
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
END
$$;
