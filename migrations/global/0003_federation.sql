-- The regions of the federation: registry, joining, secrets, passports, health. None of it belongs to a tenant; rows are
-- reached by SystemTx, or beside a tenant's rows in the same transaction. Nothing here is ever deleted by a server but spent
-- token numbers and old probes, so a slug is never used again.
CREATE TABLE gc.region (
  id            uuid PRIMARY KEY,
  slug          text NOT NULL,
  name          text NOT NULL,
  url           text NOT NULL,
  console_url   text,
  lifecycle     text NOT NULL DEFAULT 'registered',
  -- newest protocol that its gateway spoke when it joined
  protocol      integer,
  -- fingerprint of the region's own authority for agents, as the region reported it
  agent_ca      text,
  registered_at timestamptz NOT NULL,
  joined_at     timestamptz,
  activated_at  timestamptz,
  removed_at    timestamptz,
  CONSTRAINT region_slug_key UNIQUE (slug),
  CONSTRAINT region_lifecycle_check CHECK (lifecycle IN ('registered', 'joining', 'active', 'draining', 'removed'))
);
GRANT SELECT, INSERT ON gc.region TO exarch_app;
GRANT UPDATE (name, url, console_url, lifecycle, protocol, agent_ca, joined_at, activated_at, removed_at)
  ON gc.region TO exarch_app;

-- What lets one gateway join. Only the hash is kept; a used token stays, to tell its story to whoever comes with it again.
CREATE TABLE gc.join_token (
  id            uuid PRIMARY KEY,
  region_id     uuid NOT NULL REFERENCES gc.region,
  hash          bytea NOT NULL,
  created_by    uuid NOT NULL,
  created_at    timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  -- a newer token took its place
  superseded_at timestamptz,
  used_at       timestamptz,
  used_from     text,
  CONSTRAINT join_token_hash_key UNIQUE (hash),
  CONSTRAINT join_token_hash_check CHECK (octet_length(hash) = 32),
  CONSTRAINT join_token_used_check CHECK ((used_at IS NULL) = (used_from IS NULL))
);
CREATE INDEX join_token_region ON gc.join_token (region_id);
GRANT SELECT, INSERT, UPDATE (superseded_at, used_at, used_from) ON gc.join_token TO exarch_app;

-- The certificates given to a region. A connection with one that is not here, or is revoked, is nobody's.
CREATE TABLE gc.region_certificate (
  thumbprint bytea PRIMARY KEY,
  region_id  uuid NOT NULL REFERENCES gc.region,
  serial     bytea NOT NULL,
  public_key bytea NOT NULL,
  issued_at  timestamptz NOT NULL,
  not_after  timestamptz NOT NULL,
  revoked_at timestamptz,
  CONSTRAINT region_certificate_thumbprint_check CHECK (octet_length(thumbprint) = 32)
);
CREATE INDEX region_certificate_region ON gc.region_certificate (region_id);
GRANT SELECT, INSERT, UPDATE (revoked_at) ON gc.region_certificate TO exarch_app;

-- One secret for each region and direction, sealed; several while one rotates into the next.
CREATE TABLE gc.service_secret (
  region_id  uuid NOT NULL REFERENCES gc.region,
  direction  text NOT NULL,
  kid        text NOT NULL,
  sealed     bytea NOT NULL,
  created_at timestamptz NOT NULL,
  retired_at timestamptz,
  PRIMARY KEY (region_id, direction, kid),
  CONSTRAINT service_secret_direction_check CHECK (direction IN ('up', 'down'))
);
GRANT SELECT, INSERT, UPDATE (retired_at) ON gc.service_secret TO exarch_app;

-- The numbers of service tokens whose requests had an effect, spent in the transaction of the effect. A token is dead long
-- before its row is swept.
CREATE TABLE gc.service_jti (
  region_id uuid NOT NULL REFERENCES gc.region,
  jti       text NOT NULL,
  spent_at  timestamptz NOT NULL,
  CONSTRAINT service_jti_pkey PRIMARY KEY (region_id, jti)
);
CREATE INDEX service_jti_spent ON gc.service_jti (spent_at);
GRANT SELECT, INSERT ON gc.service_jti TO exarch_app;
GRANT SELECT (spent_at), DELETE ON gc.service_jti TO exarch_sweep;

-- The present passport of a region and how far the region has come. Its row is locked by whoever changes a section, so that
-- versions rise strictly and no two contents share one.
CREATE TABLE gc.passport (
  region_id               uuid PRIMARY KEY REFERENCES gc.region,
  generation              bigint NOT NULL DEFAULT 1,
  version                 bigint NOT NULL DEFAULT 0,
  -- signed; empty before the first version
  manifest                bytea NOT NULL DEFAULT '',
  changed_at              timestamptz NOT NULL,
  acknowledged_generation bigint,
  acknowledged_version    bigint,
  acknowledged_as_of      timestamptz,
  acknowledged_at         timestamptz,
  refused_generation      bigint,
  refused_version         bigint,
  refused_reason          text,
  refused_at              timestamptz
);
GRANT SELECT, INSERT, UPDATE ON gc.passport TO exarch_app;

-- The sections as they were signed into the manifest; one that is gone stays without contents, so that a region that was
-- away learns of it.
CREATE TABLE gc.passport_section (
  region_id  uuid NOT NULL REFERENCES gc.region,
  id         text NOT NULL,
  generation bigint NOT NULL,
  version    bigint NOT NULL,
  sha256     bytea,
  contents   bytea,
  critical   boolean NOT NULL DEFAULT true,
  -- when it is to be looked at again without anybody's doing: the end of an entitlement
  ends_at    timestamptz,
  PRIMARY KEY (region_id, id),
  CONSTRAINT passport_section_gone_check CHECK ((sha256 IS NULL) = (contents IS NULL))
);
CREATE INDEX passport_section_version ON gc.passport_section (region_id, generation, version);
CREATE INDEX passport_section_id ON gc.passport_section (id);
CREATE INDEX passport_section_ends ON gc.passport_section (ends_at) WHERE ends_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON gc.passport_section TO exarch_app;

-- How a region is, as of its last probe. Apart from gc.region, so that probes and changes of a region do not wait for each
-- other.
CREATE TABLE gc.region_health (
  region_id      uuid PRIMARY KEY REFERENCES gc.region,
  state          text NOT NULL DEFAULT 'unknown',
  misses         integer NOT NULL DEFAULT 0,
  goods          integer NOT NULL DEFAULT 0,
  -- the last round in which some replica probed it
  round          bigint NOT NULL DEFAULT 0,
  reason         text,
  last_probe_at  timestamptz,
  last_answer_at timestamptz,
  latency_us     bigint,
  skew_ms        bigint,
  -- the last answer that was believed
  answer         jsonb,
  -- the highest identity of its database ever seen
  database       jsonb,
  CONSTRAINT region_health_state_check CHECK (state IN ('unknown', 'healthy', 'degraded', 'unreachable'))
);
GRANT SELECT, INSERT, UPDATE ON gc.region_health TO exarch_app;

-- Every probe, by day.
CREATE TABLE gc.probe (
  id         uuid NOT NULL,
  region_id  uuid NOT NULL REFERENCES gc.region,
  at         timestamptz NOT NULL,
  outcome    text NOT NULL,
  health     text NOT NULL,
  reason     text,
  latency_us bigint,
  skew_ms    bigint,
  answer     jsonb,
  PRIMARY KEY (region_id, id, at),
  CONSTRAINT probe_outcome_check CHECK (outcome IN ('good', 'failing', 'missed'))
) PARTITION BY RANGE (at);
GRANT SELECT, INSERT ON gc.probe TO exarch_app;

-- Makes the partitions of `today` and the two days after it, and drops those that ended before `keep_from`. The servers own
-- nothing and cannot do this themselves: that is why it runs with the owner's rights, for exarch_sweep alone, and touches
-- partitions of gc.probe alone.
CREATE FUNCTION gc.probe_partitions(today date, keep_from date) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  day date;
  old record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('gc.probe_partitions'));
  FOR day IN SELECT today + n FROM generate_series(0, 2) AS n LOOP
    IF to_regclass(format('gc.%I', 'probe_' || to_char(day, 'YYYYMMDD'))) IS NULL THEN
      EXECUTE format('CREATE TABLE gc.%I PARTITION OF gc.probe FOR VALUES FROM (%L) TO (%L)',
                     'probe_' || to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz);
    END IF;
  END LOOP;
  FOR old IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'gc.probe'::regclass AND c.relname < 'probe_' || to_char(keep_from, 'YYYYMMDD')
  LOOP
    EXECUTE format('DROP TABLE gc.%I', old.relname);
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION gc.probe_partitions(date, date) FROM exarch_app, exarch_renew, exarch_operator;
COMMENT ON FUNCTION gc.probe_partitions(date, date) IS
  'With the owner''s rights, because a partition is made and dropped by the owner of its table alone.';
