-- no-transaction
-- A name is free again once its cluster is deleted. Takes the place of cluster_name_key in 0040.
CREATE UNIQUE INDEX CONCURRENTLY cluster_live_name ON gw.cluster (tenant_id, name) WHERE deleted_at IS NULL;
