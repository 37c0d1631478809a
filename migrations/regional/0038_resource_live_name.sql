-- no-transaction
-- A name is free again once its resource is deleted. Takes the place of resource_name_key in 0040.
CREATE UNIQUE INDEX CONCURRENTLY resource_live_name ON gw.resource (tenant_id, cluster_id, name) WHERE deleted_at IS NULL;
