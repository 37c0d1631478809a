-- What a tenant has in this region: clusters, the hosts in them, the resources to be leased; and the region's audit.
-- Every key starts with the tenant; what lies in a cluster names the cluster in its key, so that a foreign key can
-- reach neither another tenant's rows nor another cluster's.

CREATE TABLE gw.cluster (
  tenant_id  uuid NOT NULL,
  id         uuid NOT NULL,
  name       text NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  CONSTRAINT cluster_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT cluster_name_key UNIQUE (tenant_id, name),
  CONSTRAINT cluster_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);
SELECT gw.protect('gw.cluster', 'select', 'insert', 'update');
-- The cluster of a cluster is itself.
CREATE POLICY cluster_cluster ON gw.cluster AS RESTRICTIVE FOR ALL TO exarch_app
  USING ((SELECT gw.all_clusters()) OR id = ANY ((SELECT gw.cluster_ids())::uuid[]))
  WITH CHECK ((SELECT gw.all_clusters()) OR id = ANY ((SELECT gw.cluster_ids())::uuid[]));

CREATE TABLE gw.host (
  tenant_id  uuid NOT NULL,
  cluster_id uuid NOT NULL,
  id         uuid NOT NULL,
  name       text NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  CONSTRAINT host_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT host_in_cluster_key UNIQUE (tenant_id, cluster_id, id),
  CONSTRAINT host_name_key UNIQUE (tenant_id, cluster_id, name),
  CONSTRAINT host_cluster_fkey FOREIGN KEY (tenant_id, cluster_id) REFERENCES gw.cluster (tenant_id, id),
  CONSTRAINT host_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);
SELECT gw.protect('gw.host', 'select', 'insert', 'update');

CREATE TABLE gw.resource (
  tenant_id  uuid NOT NULL,
  cluster_id uuid NOT NULL,
  id         uuid NOT NULL,
  name       text NOT NULL,
  kind       text NOT NULL,
  -- how long a lease on it lasts, per class of resource
  ttl_ms     bigint NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  CONSTRAINT resource_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT resource_in_cluster_key UNIQUE (tenant_id, cluster_id, id),
  CONSTRAINT resource_name_key UNIQUE (tenant_id, cluster_id, name),
  CONSTRAINT resource_cluster_fkey FOREIGN KEY (tenant_id, cluster_id) REFERENCES gw.cluster (tenant_id, id),
  CONSTRAINT resource_name_check CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  CONSTRAINT resource_kind_check CHECK (kind IN ('volume')),
  CONSTRAINT resource_ttl_check CHECK (ttl_ms BETWEEN 5000 AND 300000)
);
SELECT gw.protect('gw.resource', 'select', 'insert', 'update');

-- How much of its entitlement a tenant uses: over all its clusters, also those that whoever adds to one does not see. Counted
-- in the transaction that adds, under the lock of the row, so that no two of them both take the last place.
CREATE TABLE gw.usage (
  tenant_id uuid NOT NULL,
  clusters  bigint NOT NULL,
  hosts     bigint NOT NULL,
  CONSTRAINT usage_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT usage_count_check CHECK (clusters >= 0 AND hosts >= 0)
);
SELECT gw.protect('gw.usage', 'select', 'insert', 'update');

-- One chain of audit rows per tenant. The head is locked for each row, so that the sequence has no gap.
CREATE TABLE gw.audit_head (
  tenant_id uuid NOT NULL,
  seq       bigint NOT NULL,
  hash      bytea NOT NULL,
  CONSTRAINT audit_head_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT audit_head_hash_check CHECK (octet_length(hash) = 32)
);
SELECT gw.protect('gw.audit_head', 'select', 'insert', 'update');

CREATE TABLE gw.audit (
  tenant_id      uuid NOT NULL,
  seq            bigint NOT NULL,
  id             uuid NOT NULL,
  at             timestamptz NOT NULL,
  actor_kind     text NOT NULL,
  actor_id       text NOT NULL,
  on_behalf_of   text,
  action         text NOT NULL,
  target_kind    text NOT NULL,
  target_id      text NOT NULL,
  outcome        text NOT NULL,
  reason         text,
  before         jsonb,
  after          jsonb,
  decision_id    uuid,
  request_id     text,
  source         jsonb,
  break_glass_id text,
  flags          text[] NOT NULL DEFAULT '{}',
  prev_hash      bytea NOT NULL,
  hash           bytea NOT NULL,
  CONSTRAINT audit_pkey PRIMARY KEY (tenant_id, seq),
  CONSTRAINT audit_id_key UNIQUE (tenant_id, id),
  CONSTRAINT audit_outcome_check CHECK (outcome IN ('ok', 'denied', 'failed')),
  CONSTRAINT audit_hash_check CHECK (octet_length(hash) = 32 AND octet_length(prev_hash) = 32)
);
-- The history of one thing.
CREATE INDEX audit_target_idx ON gw.audit (tenant_id, target_id, seq);
SELECT gw.protect('gw.audit', 'select', 'insert');
SELECT gw.append_only('gw.audit');
