-- Sets the context for one statement that reads, and says so: `WHERE (SELECT gw.entered($1, $2, $3, $4)) AND …`, sent outside a
-- transaction. A condition without a column is asked before any row is looked at, and the statement's own transaction ends the
-- context. Where a planner ever asked later, row security would find no context and yield nothing.
CREATE FUNCTION gw.entered(tenant uuid, all_clusters boolean, cluster_ids uuid[], actor text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM gw.enter(tenant, all_clusters, cluster_ids, actor);
  RETURN true;
END
$$;
