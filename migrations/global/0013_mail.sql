-- Mail that waits to be sent, what may be asked for by mail, and the tokens in it. All three are a person's, of no tenant.

-- A row is gone once its mail was sent. What it says, the address among it, is sealed in its place.
CREATE TABLE gc.mail (
  id         uuid PRIMARY KEY,
  sealed     bytea NOT NULL,
  created_at timestamptz NOT NULL,
  next_at    timestamptz NOT NULL,
  tries      integer NOT NULL DEFAULT 0
);
CREATE INDEX mail_due ON gc.mail (next_at);
GRANT SELECT, INSERT, UPDATE (next_at, tries), DELETE ON gc.mail TO exarch_app;

-- When mail was asked for an address, whether or not somebody has it: both cases do the same work.
CREATE TABLE gc.mail_limit (
  email_index bytea NOT NULL,
  kind        text NOT NULL,
  asked       timestamptz[] NOT NULL DEFAULT '{}',
  updated_at  timestamptz NOT NULL,
  CONSTRAINT mail_limit_pkey PRIMARY KEY (email_index, kind),
  CONSTRAINT mail_limit_email_index_check CHECK (octet_length(email_index) = 32)
);
CREATE INDEX mail_limit_updated ON gc.mail_limit (updated_at);
GRANT SELECT, INSERT, UPDATE (asked, updated_at) ON gc.mail_limit TO exarch_app;
GRANT SELECT (updated_at), DELETE ON gc.mail_limit TO exarch_sweep;

-- Tokens that went out by mail, by hash; each works once.
CREATE TABLE gc.mail_token (
  hash       bytea PRIMARY KEY,
  -- whose password it resets
  user_id    uuid NOT NULL REFERENCES gc.user,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  CONSTRAINT mail_token_hash_check CHECK (octet_length(hash) = 32)
);
CREATE INDEX mail_token_expires ON gc.mail_token (expires_at);
CREATE INDEX mail_token_of_user ON gc.mail_token (user_id) WHERE used_at IS NULL;
GRANT SELECT, INSERT, UPDATE (used_at) ON gc.mail_token TO exarch_app;
GRANT SELECT (expires_at), DELETE ON gc.mail_token TO exarch_sweep;
