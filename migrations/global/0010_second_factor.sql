-- Second factors: codes of an authenticator app, and the recovery codes beside them. They are a person's, of no tenant.

-- What a person's app and we share, sealed in its place. Until it is verified by a code it opens nothing.
CREATE TABLE gc.totp (
  id            uuid PRIMARY KEY,
  user_id       uuid NOT NULL REFERENCES gc.user,
  secret_sealed bytea NOT NULL,
  created_at    timestamptz NOT NULL,
  verified_at   timestamptz
);
CREATE UNIQUE INDEX totp_verified_key ON gc.totp (user_id) WHERE verified_at IS NOT NULL;
CREATE INDEX totp_pending ON gc.totp (created_at) WHERE verified_at IS NULL;
GRANT SELECT, INSERT, UPDATE (verified_at), DELETE ON gc.totp TO exarch_app;
GRANT SELECT (id, created_at, verified_at), DELETE ON gc.totp TO exarch_sweep;

-- A step whose code was used: the key is what makes a code good once, also for two who come at once.
CREATE TABLE gc.totp_used_step (
  totp_id uuid NOT NULL REFERENCES gc.totp ON DELETE CASCADE,
  step    bigint NOT NULL,
  used_at timestamptz NOT NULL,
  CONSTRAINT totp_used_step_pkey PRIMARY KEY (totp_id, step)
);
CREATE INDEX totp_used_step_used ON gc.totp_used_step (used_at);
GRANT SELECT, INSERT ON gc.totp_used_step TO exarch_app;
GRANT SELECT (used_at), DELETE ON gc.totp_used_step TO exarch_sweep;

-- Codes for who has lost the app, by hash; each works once.
CREATE TABLE gc.recovery_code (
  user_id    uuid NOT NULL REFERENCES gc.user,
  hash       bytea NOT NULL,
  created_at timestamptz NOT NULL,
  used_at    timestamptz,
  CONSTRAINT recovery_code_pkey PRIMARY KEY (user_id, hash),
  CONSTRAINT recovery_code_hash_check CHECK (octet_length(hash) = 32)
);
GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON gc.recovery_code TO exarch_app;

-- A ticket whose step is to enrol names what is enrolled.
ALTER TABLE gc.sign_in_ticket ADD COLUMN totp_id uuid REFERENCES gc.totp ON DELETE CASCADE;
