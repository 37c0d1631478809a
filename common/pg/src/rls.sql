-- What breaks the rules of row-level security in schema $1: the rule, the object, what is wrong with it.
-- $2 names the tables of no tenant, $3 those whose rows are only ever added.
WITH serving AS (
  SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit FROM pg_roles r
   WHERE r.rolname IN ('exarch_app', 'exarch_sweep', 'exarch_renew', 'exarch_operator')
), app AS (
  SELECT oid FROM serving WHERE rolname = 'exarch_app'
), schema AS (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_namespace n WHERE n.nspname = $1
), relation AS (
  SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relacl,
         c.oid::regclass::text AS name
    FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
), holder AS (
  SELECT * FROM relation WHERE relkind IN ('r', 'p', 'f') AND relname <> 'schema_migration'
), col AS (
  SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.attacl
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
), tenant_table AS (
  SELECT h.*, c.attnum AS tenant_col, c.atttypid, c.attnotnull,
         EXISTS (SELECT FROM col k WHERE k.attrelid = h.oid AND k.attname = 'cluster_id') AS in_cluster
    FROM holder h JOIN col c ON c.attrelid = h.oid AND c.attname = 'tenant_id'
), policy AS (
  -- without spaces, and without the names that some versions give to the columns of sub-selects
  SELECT p.*, t.name,
         regexp_replace(regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\sAS \w+', '', 'g'), '\s', '', 'g') AS seen,
         regexp_replace(regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\sAS \w+', '', 'g'), '\s', '', 'g') AS written
    FROM pg_policy p JOIN tenant_table t ON t.oid = p.polrelid
), binding AS (
  SELECT p.* FROM policy p, app WHERE NOT p.polpermissive AND p.polcmd = '*' AND app.oid = ANY (p.polroles)
), unique_index AS (
  SELECT i.indrelid, i.indkey[0] AS first, i.indexrelid::regclass::text AS name
    FROM pg_index i WHERE i.indisunique OR i.indisexclusion
), acl AS (
  SELECT r.oid, r.relkind, r.relname, r.name, g.grantee, g.privilege_type
    FROM relation r, LATERAL aclexplode(r.relacl) g
), column_acl AS (
  SELECT c.attrelid, c.attname, g.grantee, g.privilege_type FROM col c, LATERAL aclexplode(c.attacl) g
), routine AS (
  SELECT p.*, p.oid::regprocedure::text AS name FROM pg_proc p JOIN schema s ON s.oid = p.pronamespace
), append_only AS (
  SELECT h.* FROM holder h WHERE h.relname = ANY ($3)
     OR EXISTS (SELECT FROM pg_inherits i JOIN holder p ON p.oid = i.inhparent
                 WHERE i.inhrelid = h.oid AND p.relname = ANY ($3))
)
SELECT 'schema_absent', $1, '' WHERE NOT EXISTS (SELECT FROM schema)
UNION ALL
SELECT 'login_absent', wanted, '' FROM unnest(ARRAY['exarch_app', 'exarch_sweep', 'exarch_renew', 'exarch_operator']) wanted
 WHERE NOT EXISTS (SELECT FROM serving WHERE rolname = wanted)
UNION ALL
SELECT 'login_unbound', rolname::text,
       CASE WHEN rolsuper THEN 'superuser' WHEN rolbypassrls THEN 'bypassrls' ELSE 'inherit' END
  FROM serving WHERE rolsuper OR rolbypassrls OR rolinherit
UNION ALL
SELECT 'login_member', s.rolname::text, m.roleid::regrole::text FROM serving s JOIN pg_auth_members m ON m.member = s.oid
UNION ALL
SELECT 'login_owns', o.name, s.rolname::text
  FROM serving s JOIN (SELECT relowner AS owner, name FROM relation
                       UNION ALL SELECT proowner, name FROM routine
                       UNION ALL SELECT nspowner, 'schema ' || nspname FROM schema) o ON o.owner = s.oid
UNION ALL
SELECT 'login_creates', s.rolname::text, $1 FROM serving s, schema n WHERE has_schema_privilege(s.oid, n.oid, 'CREATE')
UNION ALL
SELECT 'unlisted', h.name, '' FROM holder h
 WHERE NOT EXISTS (SELECT FROM tenant_table t WHERE t.oid = h.oid) AND h.relname <> ALL ($2)
UNION ALL
SELECT 'listed_with_tenant', t.name, '' FROM tenant_table t WHERE t.relname = ANY ($2)
UNION ALL
SELECT 'listed_absent', listed, '' FROM unnest($2 || $3) listed
 WHERE NOT EXISTS (SELECT FROM holder h WHERE h.relname = listed)
UNION ALL
SELECT 'tenant_column', name, '' FROM tenant_table WHERE atttypid <> 'uuid'::regtype OR NOT attnotnull
UNION ALL
SELECT 'foreign_table', name, '' FROM tenant_table WHERE relkind = 'f'
UNION ALL
SELECT 'not_enabled', name, '' FROM tenant_table WHERE relkind <> 'f' AND NOT relrowsecurity
UNION ALL
SELECT 'not_forced', name, '' FROM tenant_table WHERE relkind <> 'f' AND NOT relforcerowsecurity
UNION ALL
SELECT 'tenant_policy', t.name, '' FROM tenant_table t
 WHERE relkind <> 'f' AND NOT EXISTS (
   SELECT FROM binding b WHERE b.polrelid = t.oid AND b.seen = b.written
      AND b.seen = format('(tenant_id=(SELECT%s.tenant_id()))', $1))
UNION ALL
SELECT 'cluster_policy', t.name, '' FROM tenant_table t
 WHERE t.in_cluster AND relkind <> 'f' AND NOT EXISTS (
   SELECT FROM binding b WHERE b.polrelid = t.oid AND b.seen = b.written
      AND b.seen = format('((SELECT%1$s.all_clusters())OR(cluster_id=ANY((SELECT%1$s.cluster_ids())::uuid[])))', $1))
UNION ALL
SELECT 'policy_for_all', p.name, p.polname::text FROM policy p WHERE 0 = ANY (p.polroles)
UNION ALL
SELECT 'key', t.name, u.name FROM tenant_table t JOIN unique_index u ON u.indrelid = t.oid AND u.first <> t.tenant_col
UNION ALL
SELECT 'no_index', t.name, '' FROM tenant_table t
 WHERE relkind <> 'f' AND NOT EXISTS (
   SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indkey[0] = t.tenant_col AND i.indpred IS NULL AND i.indisvalid)
UNION ALL
SELECT 'foreign_key', f.conrelid::regclass::text, f.conname::text
  FROM pg_constraint f JOIN tenant_table target ON target.oid = f.confrelid
 WHERE f.contype = 'f' AND NOT EXISTS (
   SELECT FROM unnest(f.conkey, f.confkey) AS pair (here, there)
     JOIN col c ON c.attrelid = f.conrelid AND c.attnum = pair.here
    WHERE pair.there = target.tenant_col AND c.attname = 'tenant_id')
UNION ALL
SELECT 'view', name, '' FROM relation
 WHERE relkind = 'v' AND NOT coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(reloptions) o
                                        WHERE o.option_name = 'security_invoker'), false)
UNION ALL
SELECT 'materialized_view', m.name, s.rolname::text FROM relation m, serving s
 WHERE m.relkind = 'm' AND (has_table_privilege(s.oid, m.oid, 'SELECT') OR has_any_column_privilege(s.oid, m.oid, 'SELECT'))
UNION ALL
SELECT 'definer', r.name, '' FROM routine r
 WHERE r.prosecdef AND (NOT EXISTS (SELECT FROM unnest(r.proconfig) c WHERE c LIKE 'search\_path=%')
                        OR obj_description(r.oid, 'pg_proc') IS NULL)
UNION ALL
SELECT 'context_function', format('%s.%s', $1, wanted), ''
  FROM unnest(ARRAY['tenant_id', 'all_clusters', 'cluster_ids', 'actor']) wanted
 WHERE EXISTS (SELECT FROM schema) AND NOT EXISTS (
   SELECT FROM routine r WHERE r.proname = wanted AND r.pronargs = 0 AND r.provolatile = 's' AND NOT r.prosecdef
      AND r.prosrc ~* 'nullif\(pg_catalog\.current_setting\(')
UNION ALL
SELECT 'granted_beyond', a.name, format('%s to %s', a.privilege_type, s.rolname)
  FROM acl a JOIN serving s ON s.oid = a.grantee
 WHERE (a.relkind <> 'S' AND a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'))
    OR (a.relkind = 'S' AND a.privilege_type = 'UPDATE')
UNION ALL
SELECT 'granted_to_all', a.name, a.privilege_type FROM acl a WHERE a.grantee = 0
UNION ALL
SELECT 'granted_to_all', c.attrelid::regclass::text, c.privilege_type || ' (' || c.attname || ')'
  FROM column_acl c WHERE c.grantee = 0
UNION ALL
SELECT 'granted_whole', a.name, format('%s to %s', a.privilege_type, s.rolname)
  FROM acl a JOIN serving s ON s.oid = a.grantee JOIN tenant_table t ON t.oid = a.oid
 WHERE s.rolname <> 'exarch_app' AND a.privilege_type IN ('SELECT', 'UPDATE')
UNION ALL
SELECT 'rows_change', o.name, 'triggers' FROM append_only o
 WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN routine r ON r.oid = t.tgfoid AND r.proname = 'refuse_change'
                    WHERE t.tgrelid = o.oid AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgtype & 27 = 27
                      AND cardinality(t.tgattr::int2[]) = 0)
    OR NOT EXISTS (SELECT FROM pg_trigger t JOIN routine r ON r.oid = t.tgfoid AND r.proname = 'refuse_change'
                    WHERE t.tgrelid = o.oid AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgtype & 35 = 34)
UNION ALL
SELECT 'rows_change', o.name, format('%s to %s', g.privilege_type, s.rolname)
  FROM append_only o
  JOIN (SELECT oid, grantee, privilege_type FROM acl
        UNION SELECT attrelid, grantee, privilege_type FROM column_acl) g ON g.oid = o.oid
  JOIN serving s ON s.oid = g.grantee
 WHERE g.privilege_type IN ('UPDATE', 'DELETE')
ORDER BY 2, 1, 3
