-- The signed word of the global that this region is removed; it outlives restarts. A region learns it once.
ALTER TABLE gw.region ADD COLUMN tombstone bytea;
GRANT UPDATE (tombstone) ON gw.region TO exarch_app;
