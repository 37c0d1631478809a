-- What was answered to a request with an Idempotency-Key, written in the transaction of its effect: whoever repeats the
-- request is answered the same. What belongs to no tenant is kept under the provider's.
CREATE TABLE gc.idempotency (
  tenant_id  uuid NOT NULL,
  -- SHA-256 over caller, route and key
  id         bytea NOT NULL,
  -- what came and what was answered, sealed: an answer may hold addresses of people, a request a password
  sealed     bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT idempotency_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT idempotency_id_check CHECK (octet_length(id) = 32)
);
CREATE INDEX idempotency_expires ON gc.idempotency (expires_at);
-- a record whose time is over is written over if it was not swept yet
SELECT gc.protect('gc.idempotency', 'select', 'insert', 'update');
GRANT SELECT (expires_at), DELETE ON gc.idempotency TO exarch_sweep;
CREATE POLICY idempotency_sweep ON gc.idempotency FOR SELECT TO exarch_sweep USING (true);
CREATE POLICY idempotency_sweep_delete ON gc.idempotency FOR DELETE TO exarch_sweep USING (true);
