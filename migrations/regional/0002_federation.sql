-- What this region is, which keys it holds, what the global has told it, and which replicas of its gateway run. None of it
-- belongs to a tenant.

-- The region as the global registered it; one row once it has joined.
CREATE TABLE gw.region (
  one           boolean NOT NULL DEFAULT true,
  id            uuid NOT NULL,
  slug          text NOT NULL,
  name          text NOT NULL,
  -- host and port of the global's federation listener
  global_addr   text NOT NULL,
  -- issuer of user tokens
  issuer        text NOT NULL,
  -- DER
  federation_ca bytea NOT NULL,
  joined_at     timestamptz NOT NULL,
  CONSTRAINT region_pkey PRIMARY KEY (one),
  CONSTRAINT region_one_check CHECK (one)
);
GRANT SELECT, INSERT ON gw.region TO exarch_app;

-- What signs passports: the present key and, before it signs, the next.
CREATE TABLE gw.authority_key (
  kid    text NOT NULL,
  -- Ed25519, 32 bytes
  public bytea NOT NULL,
  CONSTRAINT authority_key_pkey PRIMARY KEY (kid),
  CONSTRAINT authority_key_public_check CHECK (octet_length(public) = 32)
);
GRANT SELECT, INSERT, DELETE ON gw.authority_key TO exarch_app;

-- The region's own keys and secrets, sealed under the master key for this very row.
CREATE TABLE gw.sealed_key (
  purpose     text NOT NULL,
  kid         text NOT NULL,
  sealed      bytea NOT NULL,
  -- DER, for keys that have one
  certificate bytea,
  created_at  timestamptz NOT NULL,
  CONSTRAINT sealed_key_pkey PRIMARY KEY (purpose, kid),
  CONSTRAINT sealed_key_purpose_check
    CHECK (purpose IN ('region-tls', 'agent-ca', 'grant', 'agent-session', 'service-up', 'service-down'))
);
GRANT SELECT, INSERT, UPDATE (certificate) ON gw.sealed_key TO exarch_app;

-- The one row that is locked where replicas must take turns, and what must never fall.
CREATE TABLE gw.region_state (
  one             boolean NOT NULL DEFAULT true,
  -- first half of every fence
  epoch           bigint NOT NULL DEFAULT 1,
  -- the highest passport ever applied here
  high_generation bigint NOT NULL DEFAULT 0,
  high_version    bigint NOT NULL DEFAULT 0,
  CONSTRAINT region_state_pkey PRIMARY KEY (one),
  CONSTRAINT region_state_one_check CHECK (one),
  CONSTRAINT region_state_epoch_check CHECK (epoch > 0)
);
INSERT INTO gw.region_state DEFAULT VALUES;
GRANT SELECT, UPDATE ON gw.region_state TO exarch_app;

-- The last two passports, as signed. Contents lie apart, by their digest: most are the same in both.
CREATE TABLE gw.passport (
  generation  bigint NOT NULL,
  version     bigint NOT NULL,
  -- CBOR: manifest, and list of sections without their contents
  outline     bytea NOT NULL,
  -- the newest statement about this manifest, and what it says
  statement   bytea NOT NULL,
  as_of       bigint NOT NULL,
  received_at timestamptz NOT NULL,
  CONSTRAINT passport_pkey PRIMARY KEY (generation, version)
);
GRANT SELECT, INSERT, DELETE, UPDATE (statement, as_of) ON gw.passport TO exarch_app;
CREATE TABLE gw.passport_section (
  sha256  bytea NOT NULL,
  content bytea NOT NULL,
  CONSTRAINT passport_section_pkey PRIMARY KEY (sha256),
  CONSTRAINT passport_section_sha256_check CHECK (sha256 = pg_catalog.sha256(content))
);
GRANT SELECT, INSERT, DELETE ON gw.passport_section TO exarch_app;

-- Service tokens of requests that had an effect: each works once, on whichever replica.
CREATE TABLE gw.service_jti (
  jti      text NOT NULL,
  spent_at timestamptz NOT NULL,
  CONSTRAINT service_jti_pkey PRIMARY KEY (jti)
);
GRANT SELECT, INSERT, DELETE ON gw.service_jti TO exarch_app;

-- The replicas of this region's gateway. Heartbeats are judged by the database's clock, the one clock they share.
CREATE TABLE gw.instance (
  id           uuid NOT NULL,
  software     text NOT NULL,
  started_at   timestamptz NOT NULL,
  heartbeat_at timestamptz NOT NULL,
  -- passport applied by it; none before the first
  generation   bigint,
  version      bigint,
  CONSTRAINT instance_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON gw.instance TO exarch_app;
