-- What should run in a cluster, on which agents, and what those say of it.

CREATE TABLE gw.workload (
  tenant_id   uuid NOT NULL,
  cluster_id  uuid NOT NULL,
  id          uuid NOT NULL,
  name        text NOT NULL,
  -- what must be leased before it starts
  resource_id uuid NOT NULL,
  -- as agents receive it
  driver      jsonb NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL,
  CONSTRAINT workload_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT workload_in_cluster_key UNIQUE (tenant_id, cluster_id, id),
  CONSTRAINT workload_name_key UNIQUE (tenant_id, cluster_id, name),
  CONSTRAINT workload_resource_fkey
    FOREIGN KEY (tenant_id, cluster_id, resource_id) REFERENCES gw.resource (tenant_id, cluster_id, id),
  CONSTRAINT workload_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);
SELECT gw.protect('gw.workload', 'select', 'insert', 'update');

CREATE TABLE gw.assignment (
  tenant_id        uuid NOT NULL,
  cluster_id       uuid NOT NULL,
  workload_id      uuid NOT NULL,
  agent_id         uuid NOT NULL,
  -- what people asked for: to run, to wait for the lease while another holds it, to stop
  desired          text NOT NULL,
  changed_at       timestamptz NOT NULL,
  -- what the agent last said
  state            text,
  detail           text,
  fence_epoch      bigint,
  fence_generation bigint,
  reported_at      timestamptz,
  CONSTRAINT assignment_pkey PRIMARY KEY (tenant_id, workload_id, agent_id),
  CONSTRAINT assignment_workload_fkey
    FOREIGN KEY (tenant_id, cluster_id, workload_id) REFERENCES gw.workload (tenant_id, cluster_id, id),
  CONSTRAINT assignment_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id),
  CONSTRAINT assignment_desired_check CHECK (desired IN ('run', 'wait', 'stop')),
  CONSTRAINT assignment_state_check CHECK (state IN ('waiting', 'running', 'stopped', 'failed', 'fenced')),
  CONSTRAINT assignment_reported_check CHECK (num_nulls(state, detail, reported_at) IN (0, 3)),
  CONSTRAINT assignment_fence_check
    CHECK (num_nulls(fence_epoch, fence_generation) IN (0, 2) AND (state IS NOT NULL OR fence_epoch IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX assignment_agent_idx ON gw.assignment (tenant_id, agent_id) WHERE desired <> 'stop';
SELECT gw.protect('gw.assignment', 'select', 'insert', 'update');

-- Rises with each change of what should run on an agent, in the transaction of the change: an agent that knows the version
-- knows the rest.
CREATE TABLE gw.assignment_version (
  tenant_id  uuid NOT NULL,
  cluster_id uuid NOT NULL,
  agent_id   uuid NOT NULL,
  version    bigint NOT NULL,
  CONSTRAINT assignment_version_pkey PRIMARY KEY (tenant_id, agent_id),
  CONSTRAINT assignment_version_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id),
  CONSTRAINT assignment_version_check CHECK (version > 0)
);
SELECT gw.protect('gw.assignment_version', 'select', 'insert', 'update');
-- A gateway looks four times a second for all agents that wait on it.
GRANT SELECT (tenant_id, agent_id, version) ON gw.assignment_version TO exarch_sweep;
CREATE POLICY assignment_version_sweep ON gw.assignment_version FOR SELECT TO exarch_sweep USING (true);
