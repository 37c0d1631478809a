-- no-transaction
-- A name is free again once its host is deleted. Takes the place of host_name_key in 0040.
CREATE UNIQUE INDEX CONCURRENTLY host_live_name ON gw.host (tenant_id, cluster_id, name) WHERE deleted_at IS NULL;
