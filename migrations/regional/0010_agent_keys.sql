-- An agent may come in again under its own id, with another key: where its identity was copied, or its state was lost.

-- Set: the token lets exactly this agent in again.
ALTER TABLE gw.bootstrap_token ADD COLUMN agent_id uuid;
ALTER TABLE gw.bootstrap_token ADD CONSTRAINT bootstrap_token_agent_fkey
  FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id) NOT VALID;

-- The keys that agents had before; none of them comes back, for that agent or for another.
CREATE TABLE gw.agent_key (
  tenant_id  uuid NOT NULL,
  cluster_id uuid NOT NULL,
  agent_id   uuid NOT NULL,
  public_key bytea NOT NULL,
  retired_at timestamptz NOT NULL,
  CONSTRAINT agent_key_pkey PRIMARY KEY (tenant_id, public_key),
  CONSTRAINT agent_key_agent_fkey
    FOREIGN KEY (tenant_id, cluster_id, agent_id) REFERENCES gw.agent (tenant_id, cluster_id, id)
);
SELECT gw.protect('gw.agent_key', 'select', 'insert');
