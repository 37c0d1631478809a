-- What tells a removed region that it is removed: signed by the cluster authority at the removal.
ALTER TABLE gc.region ADD COLUMN tombstone bytea;
GRANT UPDATE (tombstone) ON gc.region TO exarch_app;
