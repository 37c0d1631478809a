-- Service secrets follow one another. A row of gw.sealed_key is a secret in force: the global has acknowledged it.

-- Retired: nothing signed with it is believed any more.
ALTER TABLE gw.sealed_key ADD COLUMN retired_at timestamptz;
GRANT UPDATE (retired_at) ON gw.sealed_key TO exarch_app;

-- The one that follows, from when it was made until the global has acknowledged it. The global may use it a moment before
-- its acknowledgement arrives, so replicas accept it from here. It is the region's, of no tenant.
CREATE TABLE gw.next_secret (
  direction text NOT NULL,
  kid       text NOT NULL,
  sealed    bytea NOT NULL,
  made_at   timestamptz NOT NULL,
  CONSTRAINT next_secret_pkey PRIMARY KEY (direction),
  CONSTRAINT next_secret_direction_check CHECK (direction IN ('up', 'down'))
);
GRANT SELECT, INSERT, DELETE ON gw.next_secret TO exarch_app;
