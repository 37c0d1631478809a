-- What was answered to a request with an Idempotency-Key, written in the transaction of its effect: whoever repeats the
-- request is answered the same, by whichever replica.
CREATE TABLE gw.idempotency (
  tenant_id  uuid NOT NULL,
  -- SHA-256 over caller, route and key
  id         bytea NOT NULL,
  -- what came and what was answered, sealed: either may hold what the tenant alone may see
  sealed     bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT idempotency_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT idempotency_id_check CHECK (octet_length(id) = 32)
);
CREATE INDEX idempotency_expires ON gw.idempotency (expires_at);
-- a record whose time is over is written over if it was not swept yet
SELECT gw.protect('gw.idempotency', 'select', 'insert', 'update');
GRANT SELECT (expires_at), DELETE ON gw.idempotency TO exarch_sweep;
CREATE POLICY idempotency_sweep ON gw.idempotency FOR SELECT TO exarch_sweep USING (true);
CREATE POLICY idempotency_sweep_delete ON gw.idempotency FOR DELETE TO exarch_sweep USING (true);
