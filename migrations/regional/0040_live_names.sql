-- Names are unique among what is there, under the names of the constraints that said so of all rows.
ALTER TABLE gw.cluster DROP CONSTRAINT cluster_name_key;
ALTER INDEX gw.cluster_live_name RENAME TO cluster_name_key;
ALTER TABLE gw.host DROP CONSTRAINT host_name_key;
ALTER INDEX gw.host_live_name RENAME TO host_name_key;
ALTER TABLE gw.resource DROP CONSTRAINT resource_name_key;
ALTER INDEX gw.resource_live_name RENAME TO resource_name_key;
ALTER TABLE gw.workload DROP CONSTRAINT workload_name_key;
ALTER INDEX gw.workload_live_name RENAME TO workload_name_key;
