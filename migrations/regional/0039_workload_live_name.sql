-- no-transaction
-- A name is free again once its workload is deleted. Takes the place of workload_name_key in 0040.
CREATE UNIQUE INDEX CONCURRENTLY workload_live_name ON gw.workload (tenant_id, cluster_id, name) WHERE deleted_at IS NULL;
