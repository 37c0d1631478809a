-- Agents: how they come in, who they are, the chain of their sessions. Leases: who may act on a resource.

-- Lets one agent in, once. The secret is kept as its hash; the rest says what it was bound to and, once spent, by whom.
CREATE TABLE gw.bootstrap_token (
  tenant_id   uuid NOT NULL,
  cluster_id  uuid NOT NULL,
  id          uuid NOT NULL,
  host_id     uuid,
  -- the agent's name; without one the agent brings it
  name        text,
  -- no approval by a person
  auto        boolean NOT NULL,
  hash        bytea NOT NULL,
  created_at  timestamptz NOT NULL,
  created_by  text NOT NULL,
  expires_at  timestamptz NOT NULL,
  revoked_at  timestamptz,
  spent_at    timestamptz,
  spent_from  text,
  spent_agent uuid,
  CONSTRAINT bootstrap_token_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT bootstrap_token_cluster_fkey FOREIGN KEY (tenant_id, cluster_id) REFERENCES gw.cluster (tenant_id, id),
  CONSTRAINT bootstrap_token_host_fkey
    FOREIGN KEY (tenant_id, cluster_id, host_id) REFERENCES gw.host (tenant_id, cluster_id, id),
  CONSTRAINT bootstrap_token_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  CONSTRAINT bootstrap_token_hash_check CHECK (octet_length(hash) = 32),
  CONSTRAINT bootstrap_token_spent_check
    CHECK (num_nulls(spent_at, spent_from, spent_agent) IN (0, 3) AND (spent_at IS NULL OR revoked_at IS NULL))
);
SELECT gw.protect('gw.bootstrap_token', 'select', 'insert', 'update');

CREATE TABLE gw.agent (
  tenant_id         uuid NOT NULL,
  cluster_id        uuid NOT NULL,
  id                uuid NOT NULL,
  host_id           uuid,
  name              text NOT NULL,
  state             text NOT NULL,
  -- session tokens of an older epoch are dead
  epoch             bigint NOT NULL DEFAULT 1,
  -- point on P-384; the request that is signed once the agent is approved; the newest certificate (DER)
  public_key        bytea NOT NULL,
  csr               bytea NOT NULL,
  certificate       bytea,
  certificate_until timestamptz,
  enrolled_at       timestamptz NOT NULL,
  enrolled_from     text NOT NULL,
  -- from its heartbeats
  software          text,
  clock_skew_ms     bigint,
  last_seen_at      timestamptz,
  CONSTRAINT agent_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT agent_in_cluster_key UNIQUE (tenant_id, cluster_id, id),
  -- one key, one agent, for ever: a revoked key does not come back
  CONSTRAINT agent_public_key_key UNIQUE (tenant_id, public_key),
  CONSTRAINT agent_cluster_fkey FOREIGN KEY (tenant_id, cluster_id) REFERENCES gw.cluster (tenant_id, id),
  CONSTRAINT agent_host_fkey
    FOREIGN KEY (tenant_id, cluster_id, host_id) REFERENCES gw.host (tenant_id, cluster_id, id),
  CONSTRAINT agent_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  CONSTRAINT agent_state_check
    CHECK (state IN ('pending', 'active', 'suspended', 'quarantined', 'revoked', 'removed')),
  CONSTRAINT agent_epoch_check CHECK (epoch > 0),
  CONSTRAINT agent_certificate_check CHECK (num_nulls(certificate, certificate_until) IN (0, 2))
) WITH (fillfactor = 80);
-- A name and a host are free again once their agent is gone.
CREATE UNIQUE INDEX agent_name_key ON gw.agent (tenant_id, cluster_id, name) WHERE state NOT IN ('revoked', 'removed');
CREATE UNIQUE INDEX agent_host_key ON gw.agent (tenant_id, host_id) WHERE state NOT IN ('revoked', 'removed');
-- A certificate names the agent and not its tenant: this is how exarch_sweep finds which tenant it is.
CREATE INDEX agent_id_idx ON gw.agent (id);
SELECT gw.protect('gw.agent', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, cluster_id, id, name, state, epoch, public_key) ON gw.agent TO exarch_sweep;
CREATE POLICY agent_sweep ON gw.agent FOR SELECT TO exarch_sweep USING (true);

-- The chain of an agent's sessions: each opening spends one value and receives the next. Of the last position used, request
-- and answer are kept until the next one is used: the same bytes get the same answer, other bytes mean a copied identity.
CREATE TABLE gw.agent_session (
  tenant_id    uuid NOT NULL,
  cluster_id   uuid NOT NULL,
  agent_id     uuid NOT NULL,
  -- the position that the next opening uses, and the hash of the value it must show
  position     bigint NOT NULL DEFAULT 1,
  chain_hash   bytea NOT NULL,
  -- the opening before it: hash of the request, sealed answer, from where
  request_hash bytea,
  answer       bytea,
  opened_from  text,
  opened_at    timestamptz,
  -- the one token that lives
  jti          text,
  jti_until    timestamptz,
  CONSTRAINT agent_session_pkey PRIMARY KEY (tenant_id, agent_id),
  CONSTRAINT agent_session_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id),
  CONSTRAINT agent_session_position_check CHECK (position > 0),
  CONSTRAINT agent_session_hash_check CHECK (octet_length(chain_hash) = 32),
  CONSTRAINT agent_session_opened_check
    CHECK (num_nulls(request_hash, answer, opened_from, opened_at) = CASE WHEN position = 1 THEN 4 ELSE 0 END)
) WITH (fillfactor = 80);
SELECT gw.protect('gw.agent_session', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, agent_id, jti, jti_until) ON gw.agent_session TO exarch_sweep;
CREATE POLICY agent_session_sweep ON gw.agent_session FOR SELECT TO exarch_sweep USING (true);

-- Challenges given out and not answered yet.
CREATE TABLE gw.agent_challenge (
  tenant_id  uuid NOT NULL,
  cluster_id uuid NOT NULL,
  agent_id   uuid NOT NULL,
  hash       bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT agent_challenge_pkey PRIMARY KEY (tenant_id, agent_id, hash),
  CONSTRAINT agent_challenge_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id)
);
SELECT gw.protect('gw.agent_challenge', 'select', 'insert', 'delete');

-- One row for each lease ever granted. The newest of a resource holds its highest fence, whatever became of the lease:
-- that row is never removed.
CREATE TABLE gw.lease (
  tenant_id   uuid NOT NULL,
  cluster_id  uuid NOT NULL,
  id          uuid NOT NULL,
  resource_id uuid NOT NULL,
  -- the holder: an agent, and one start of its process
  agent_id    uuid NOT NULL,
  incarnation bytea NOT NULL,
  actions     text[] NOT NULL,
  -- the fence, as a pair
  epoch       bigint NOT NULL,
  generation  bigint NOT NULL,
  -- rises with each grant on the resource and with each renewal
  seq         bigint NOT NULL,
  ttl_ms      bigint NOT NULL,
  state       text NOT NULL,
  -- for people; no decision about validity reads them
  granted_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  ended_at    timestamptz,
  CONSTRAINT lease_pkey PRIMARY KEY (tenant_id, id),
  -- no fence is given twice
  CONSTRAINT lease_fence_key UNIQUE (tenant_id, resource_id, epoch, generation),
  CONSTRAINT lease_resource_fkey
    FOREIGN KEY (tenant_id, cluster_id, resource_id) REFERENCES gw.resource (tenant_id, cluster_id, id),
  CONSTRAINT lease_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id),
  CONSTRAINT lease_incarnation_check CHECK (octet_length(incarnation) = 16),
  CONSTRAINT lease_fence_check CHECK (epoch > 0 AND generation > 0 AND seq > 0),
  CONSTRAINT lease_ttl_check CHECK (ttl_ms BETWEEN 5000 AND 300000),
  CONSTRAINT lease_state_check CHECK (state IN ('active', 'released', 'expired', 'revoking', 'revoked')),
  CONSTRAINT lease_ended_check CHECK ((ended_at IS NULL) = (state IN ('active', 'revoking')))
) WITH (fillfactor = 70);
-- One holder at a time.
CREATE UNIQUE INDEX lease_current_key ON gw.lease (tenant_id, resource_id) WHERE state IN ('active', 'revoking');
SELECT gw.protect('gw.lease', 'select', 'insert', 'update');
-- Whose a lease is and its fence never change.
REVOKE UPDATE ON gw.lease FROM exarch_app;
GRANT UPDATE (actions, seq, state, expires_at, ended_at) ON gw.lease TO exarch_app;
-- What a gateway observes each second.
GRANT SELECT (tenant_id, cluster_id, id, resource_id, epoch, generation, seq, ttl_ms, state) ON gw.lease TO exarch_sweep;
CREATE POLICY lease_sweep ON gw.lease FOR SELECT TO exarch_sweep USING (true);
-- Renewal: raises seq of active leases and can do nothing else.
GRANT SELECT (tenant_id, id, resource_id, agent_id, incarnation, epoch, generation, seq, ttl_ms, state, granted_at, expires_at),
      UPDATE (seq, expires_at) ON gw.lease TO exarch_renew;
CREATE POLICY lease_renew_read ON gw.lease FOR SELECT TO exarch_renew USING (true);
CREATE POLICY lease_renew ON gw.lease FOR UPDATE TO exarch_renew
  USING (state = 'active') WITH CHECK (state = 'active');
