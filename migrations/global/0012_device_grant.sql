-- A program on a device without a browser waits for a person to let it in from one (RFC 8628). Both codes by hash.
-- It belongs to no tenant: until it is approved nobody has signed in.
CREATE TABLE gc.device_grant (
  id             uuid PRIMARY KEY,
  device_hash    bytea NOT NULL,
  user_hash      bytea NOT NULL,
  -- who asks, as the person is shown it
  client         text NOT NULL,
  address        text,
  user_agent     text,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  -- seconds that the program has to wait between two questions, and when it asked last
  interval_s     integer NOT NULL,
  polled_at      timestamptz,
  state          text NOT NULL DEFAULT 'pending',
  -- who let it in, and how they had signed in
  user_id        uuid REFERENCES gc.user,
  tenant         uuid REFERENCES gc.tenant,
  amr            text[],
  auth_time      timestamptz,
  session_end    timestamptz,
  CONSTRAINT device_grant_device_key UNIQUE (device_hash),
  CONSTRAINT device_grant_user_key UNIQUE (user_hash),
  CONSTRAINT device_grant_device_check CHECK (octet_length(device_hash) = 32),
  CONSTRAINT device_grant_user_check CHECK (octet_length(user_hash) = 32),
  CONSTRAINT device_grant_state_check CHECK (state IN ('pending', 'approved', 'denied', 'taken')),
  CONSTRAINT device_grant_approved_check
    CHECK (state IN ('pending', 'denied')
           OR (user_id IS NOT NULL AND amr IS NOT NULL AND auth_time IS NOT NULL AND session_end IS NOT NULL))
);
CREATE INDEX device_grant_expires ON gc.device_grant (expires_at);
GRANT SELECT, INSERT, UPDATE (interval_s, polled_at, state, user_id, tenant, amr, auth_time, session_end)
  ON gc.device_grant TO exarch_app;
GRANT SELECT (expires_at), DELETE ON gc.device_grant TO exarch_sweep;
