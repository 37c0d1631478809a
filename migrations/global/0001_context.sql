-- The ground on which every later file stands: who is who, what a transaction's context is, and how a table is protected.
-- Tables come in later files. Runs as exarch_owner.
CREATE SCHEMA IF NOT EXISTS gc;

DO $$
DECLARE
  login text;
BEGIN
  FOREACH login IN ARRAY ARRAY['exarch_owner', 'exarch_app', 'exarch_sweep', 'exarch_renew', 'exarch_operator'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = login) THEN
      RAISE EXCEPTION 'role % does not exist', login
        USING ERRCODE = 'undefined_object', HINT = 'A superuser creates the roles first.';
    END IF;
  END LOOP;
  IF current_user <> 'exarch_owner' THEN
    RAISE EXCEPTION 'the schema belongs to exarch_owner, but this is %', current_user
      USING ERRCODE = 'insufficient_privilege', HINT = 'Migrate with the login exarch_owner.';
  END IF;
END
$$;

-- Nothing is anybody's by default but the use of functions, which run with the rights of who calls them.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA gc
  GRANT EXECUTE ON FUNCTIONS TO exarch_app, exarch_sweep, exarch_renew, exarch_operator;
REVOKE ALL ON SCHEMA gc FROM PUBLIC;
GRANT USAGE ON SCHEMA gc TO exarch_app, exarch_sweep, exarch_renew, exarch_operator;

-- The context. A setting that was never made is NULL, one that was made in an earlier transaction of the connection is ''.
CREATE FUNCTION gc.tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(pg_catalog.current_setting('gc.tenant_id', true), '')::uuid $$;
CREATE FUNCTION gc.all_clusters() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce(nullif(pg_catalog.current_setting('gc.all_clusters', true), '')::boolean, false) $$;
CREATE FUNCTION gc.cluster_ids() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce(nullif(pg_catalog.current_setting('gc.cluster_ids', true), ''), '{}')::uuid[] $$;
CREATE FUNCTION gc.actor() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(pg_catalog.current_setting('gc.actor', true), '') $$;

-- Sets the whole context until the end of the transaction; a tenant of NULL is none. The first statement of every
-- transaction. All four every time, so that nothing of an earlier call is left.
CREATE FUNCTION gc.enter(tenant uuid, all_clusters boolean, cluster_ids uuid[], actor text) RETURNS void
  LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_catalog.set_config('gc.tenant_id', coalesce(tenant::text, ''), true),
          pg_catalog.set_config('gc.all_clusters', coalesce(all_clusters, false)::text, true),
          pg_catalog.set_config('gc.cluster_ids', coalesce(cluster_ids, '{}')::text, true),
          pg_catalog.set_config('gc.actor', coalesce(actor, ''), true);
END
$$;

-- Puts a tenant's table under row security: the two restrictive policies and, for each command named in `commands`
-- (select, insert, update, delete), the grant to exarch_app and the permissive policy it needs. Called once, by the file
-- that creates the table; what other logins may do is written out there. A partition is put under it too, with no command:
-- it is read through its table.
CREATE FUNCTION gc.protect(target regclass, VARIADIC commands text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  short text := (SELECT relname FROM pg_catalog.pg_class WHERE oid = target);
  command text;
BEGIN
  EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE pg_catalog.format(
    'CREATE POLICY %I ON %s AS RESTRICTIVE FOR ALL TO exarch_app
       USING (tenant_id = (SELECT gc.tenant_id())) WITH CHECK (tenant_id = (SELECT gc.tenant_id()))',
    short || '_tenant', target);
  IF EXISTS (SELECT FROM pg_catalog.pg_attribute
              WHERE attrelid = target AND attname = 'cluster_id' AND NOT attisdropped) THEN
    EXECUTE pg_catalog.format(
      'CREATE POLICY %I ON %s AS RESTRICTIVE FOR ALL TO exarch_app
         USING ((SELECT gc.all_clusters()) OR cluster_id = ANY ((SELECT gc.cluster_ids())::uuid[]))
         WITH CHECK ((SELECT gc.all_clusters()) OR cluster_id = ANY ((SELECT gc.cluster_ids())::uuid[]))',
      short || '_cluster', target);
  END IF;
  FOREACH command IN ARRAY commands LOOP
    IF command NOT IN ('select', 'insert', 'update', 'delete') THEN
      RAISE EXCEPTION 'no row command: %', command USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE pg_catalog.format('GRANT %s ON %s TO exarch_app', command, target);
    EXECUTE pg_catalog.format(
      'CREATE POLICY %I ON %s FOR %s TO exarch_app %s', short || '_' || command, target, command,
      CASE command WHEN 'insert' THEN 'WITH CHECK (true)' WHEN 'update' THEN 'USING (true) WITH CHECK (true)'
                   ELSE 'USING (true)' END);
  END LOOP;
END
$$;

-- What is written in a table under this stays as it is, whoever asks.
CREATE FUNCTION gc.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: its rows are only ever added', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
-- Called for a table once, and for each of its partitions: a partition takes over triggers on rows, not on statements.
CREATE FUNCTION gc.append_only(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = target AND tgname = 'rows_stay') THEN
    EXECUTE pg_catalog.format('CREATE TRIGGER rows_stay BEFORE UPDATE OR DELETE ON %s
                                 FOR EACH ROW EXECUTE FUNCTION gc.refuse_change()', target);
  END IF;
  EXECUTE pg_catalog.format('CREATE TRIGGER table_stays BEFORE TRUNCATE ON %s
                               FOR EACH STATEMENT EXECUTE FUNCTION gc.refuse_change()', target);
  -- ALWAYS: also in a session that says it is a replica
  EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER rows_stay', target);
  EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER table_stays', target);
END
$$;
REVOKE ALL ON FUNCTION gc.protect(regclass, text[]), gc.append_only(regclass), gc.refuse_change()
  FROM exarch_app, exarch_sweep, exarch_renew, exarch_operator;
