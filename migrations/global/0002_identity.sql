-- People, their sessions, tenants and what binds them, keys, and the audit. People, sessions, keys and the register of tenants
-- belong to no tenant; memberships, entitlements and the audit do.

-- The keys of the installation, sealed under the master key. A key is published from created_at on, signs from signs_from
-- on, and verifies until retired_at.
CREATE TABLE gc.sealed_key (
  id          uuid PRIMARY KEY,
  purpose     text NOT NULL,
  sealed      bytea NOT NULL,
  -- what verifies: a public key, or an authority's certificate; nothing for a symmetric key
  public      bytea,
  created_at  timestamptz NOT NULL,
  signs_from  timestamptz NOT NULL,
  retired_at  timestamptz,
  CONSTRAINT sealed_key_purpose_check
    CHECK (purpose IN ('user-signing', 'authority', 'federation-ca', 'email-index', 'refresh'))
);
CREATE INDEX sealed_key_purpose ON gc.sealed_key (purpose, signs_from);
GRANT SELECT, INSERT, UPDATE (retired_at) ON gc.sealed_key TO exarch_app;

-- A person. The address is sealed in its place; equality is asked of the index, a MAC under a key of the installation.
CREATE TABLE gc.user (
  id                   uuid PRIMARY KEY,
  email_sealed         bytea NOT NULL,
  email_index          bytea NOT NULL,
  display_name         text NOT NULL,
  state                text NOT NULL DEFAULT 'active',
  password_hash        text,
  must_change_password boolean NOT NULL DEFAULT false,
  password_changed_at  timestamptz,
  -- in force at the last sign-in; a hint, not a right
  last_tenant_id       uuid,
  created_at           timestamptz NOT NULL,
  updated_at           timestamptz NOT NULL,
  CONSTRAINT user_email_key UNIQUE (email_index),
  CONSTRAINT user_email_index_check CHECK (octet_length(email_index) = 32),
  CONSTRAINT user_state_check CHECK (state IN ('active', 'disabled', 'deleted'))
);
GRANT SELECT, INSERT ON gc.user TO exarch_app;
GRANT UPDATE (email_sealed, email_index, display_name, state, password_hash, must_change_password, password_changed_at,
              last_tenant_id, updated_at) ON gc.user TO exarch_app;
GRANT SELECT (id, display_name, state) ON gc.user TO exarch_sweep;

-- Failed sign-ins by address, whether or not somebody has it: both cases do the same work.
CREATE TABLE gc.sign_in_attempt (
  email_index  bytea PRIMARY KEY,
  -- the failures that count, oldest first
  failures     timestamptz[] NOT NULL DEFAULT '{}',
  locked_until timestamptz,
  -- how often it was locked in a row
  locks        integer NOT NULL DEFAULT 0,
  updated_at   timestamptz NOT NULL,
  CONSTRAINT sign_in_attempt_email_index_check CHECK (octet_length(email_index) = 32)
);
CREATE INDEX sign_in_attempt_updated ON gc.sign_in_attempt (updated_at);
GRANT SELECT, INSERT, UPDATE (failures, locked_until, locks, updated_at), DELETE ON gc.sign_in_attempt TO exarch_app;
GRANT SELECT (updated_at), DELETE ON gc.sign_in_attempt TO exarch_sweep;

-- The one row that says that the installation has had its first owner.
CREATE TABLE gc.installation (
  single      boolean NOT NULL DEFAULT true,
  first_owner uuid NOT NULL REFERENCES gc.user,
  made_at     timestamptz NOT NULL,
  CONSTRAINT installation_pkey PRIMARY KEY (single),
  CONSTRAINT installation_single_check CHECK (single)
);
GRANT SELECT, INSERT ON gc.installation TO exarch_app;

-- Roles of the provider's people.
CREATE TABLE gc.staff_binding (
  id         uuid PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES gc.user,
  role       text NOT NULL,
  until_at   timestamptz,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  ended_at   timestamptz
);
CREATE UNIQUE INDEX staff_binding_key ON gc.staff_binding (user_id, role) WHERE ended_at IS NULL;
GRANT SELECT, INSERT, UPDATE (until_at, ended_at) ON gc.staff_binding TO exarch_app;

-- A customer.
CREATE TABLE gc.tenant (
  id             uuid PRIMARY KEY,
  slug           text NOT NULL,
  name           text NOT NULL,
  state          text NOT NULL DEFAULT 'active',
  state_since    timestamptz NOT NULL,
  -- since when it has had an administrator; the provider may name the first one and no other
  first_admin_at timestamptz,
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  CONSTRAINT tenant_slug_key UNIQUE (slug),
  CONSTRAINT tenant_state_check CHECK (state IN ('active', 'suspended(billing)', 'suspended(incident)',
                                                 'suspended(hold)', 'deleting', 'deleted'))
);
GRANT SELECT, INSERT ON gc.tenant TO exarch_app;
GRANT UPDATE (name, state, state_since, first_admin_at, updated_at) ON gc.tenant TO exarch_app;
GRANT SELECT (id, slug, name, state) ON gc.tenant TO exarch_sweep;

-- A sign-in that lasts. Ended ones stay until their time is over: regions must learn of them.
CREATE TABLE gc.session (
  id           uuid PRIMARY KEY,
  user_id      uuid NOT NULL REFERENCES gc.user,
  -- the one in force; a switch makes another session
  tenant       uuid REFERENCES gc.tenant,
  kind         text NOT NULL,
  cookie_hash  bytea,
  amr          text[] NOT NULL,
  auth_time    timestamptz NOT NULL,
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  ended_at     timestamptz,
  ended_reason text,
  CONSTRAINT session_cookie_key UNIQUE (cookie_hash),
  CONSTRAINT session_kind_check CHECK (kind IN ('cookie', 'token')),
  CONSTRAINT session_cookie_check CHECK ((kind = 'cookie') = (cookie_hash IS NOT NULL)),
  CONSTRAINT session_ended_check CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE INDEX session_of_user ON gc.session (user_id) WHERE ended_at IS NULL;
CREATE INDEX session_expires ON gc.session (expires_at);
CREATE INDEX session_ended ON gc.session (expires_at) WHERE ended_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE (ended_at, ended_reason) ON gc.session TO exarch_app;
GRANT SELECT (id, expires_at, ended_at), DELETE ON gc.session TO exarch_sweep;

-- The refresh tokens of a session. Token n is a MAC over family and n under the family's own key: none is stored, and the
-- successor can be given again within the grace.
CREATE TABLE gc.refresh_family (
  id           uuid PRIMARY KEY,
  session_id   uuid NOT NULL REFERENCES gc.session ON DELETE CASCADE,
  salt         bytea NOT NULL,
  -- the number of the token that was given last
  number       integer NOT NULL DEFAULT 1,
  -- when its predecessor was used, and by which client
  rotated_at   timestamptz,
  rotated_by   bytea,
  -- until when the token may be used
  expires_at   timestamptz NOT NULL,
  -- the access token that was given with it
  access_jti   text NOT NULL,
  access_iat   bigint NOT NULL,
  access_exp   bigint NOT NULL,
  revoked_at   timestamptz,
  CONSTRAINT refresh_family_session_key UNIQUE (session_id),
  CONSTRAINT refresh_family_salt_check CHECK (octet_length(salt) = 32),
  CONSTRAINT refresh_family_number_check CHECK (number > 0),
  CONSTRAINT refresh_family_rotated_check CHECK ((rotated_at IS NULL) = (rotated_by IS NULL))
);
GRANT SELECT, INSERT ON gc.refresh_family TO exarch_app;
GRANT UPDATE (number, rotated_at, rotated_by, expires_at, access_jti, access_iat, access_exp, revoked_at)
  ON gc.refresh_family TO exarch_app;

-- Between two steps of a sign-in.
CREATE TABLE gc.sign_in_ticket (
  hash         bytea PRIMARY KEY,
  user_id      uuid NOT NULL REFERENCES gc.user,
  step         text NOT NULL,
  session_kind text NOT NULL,
  -- as asked for with the password
  tenant       text,
  amr          text[] NOT NULL,
  auth_time    timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  used_at      timestamptz,
  CONSTRAINT sign_in_ticket_hash_check CHECK (octet_length(hash) = 32),
  CONSTRAINT sign_in_ticket_step_check CHECK (step IN ('second-factor', 'select-tenant', 'change-password')),
  CONSTRAINT sign_in_ticket_kind_check CHECK (session_kind IN ('cookie', 'token'))
);
CREATE INDEX sign_in_ticket_expires ON gc.sign_in_ticket (expires_at);
GRANT SELECT, INSERT, UPDATE (used_at) ON gc.sign_in_ticket TO exarch_app;
GRANT SELECT (expires_at), DELETE ON gc.sign_in_ticket TO exarch_sweep;

-- A person's place in a tenant.
CREATE TABLE gc.membership (
  tenant_id  uuid NOT NULL REFERENCES gc.tenant,
  id         uuid NOT NULL,
  user_id    uuid NOT NULL REFERENCES gc.user,
  roles      text[] NOT NULL,
  -- only these regions; all the tenant is entitled to when null
  regions    uuid[],
  until_at   timestamptz,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  ended_at   timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT membership_roles_check CHECK (cardinality(roles) > 0)
);
CREATE UNIQUE INDEX membership_user_key ON gc.membership (tenant_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX membership_user ON gc.membership (user_id) WHERE ended_at IS NULL;
SELECT gc.protect('gc.membership', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, id, user_id, roles, regions, until_at, ended_at) ON gc.membership TO exarch_sweep;
CREATE POLICY membership_sweep ON gc.membership FOR SELECT TO exarch_sweep USING (true);

-- A tenant's right to a region.
CREATE TABLE gc.entitlement (
  tenant_id  uuid NOT NULL REFERENCES gc.tenant,
  id         uuid NOT NULL,
  region_id  uuid NOT NULL,
  from_at    timestamptz NOT NULL,
  until_at   timestamptz,
  clusters   integer,
  hosts      integer,
  leases     integer,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  ended_at   timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT entitlement_times_check CHECK (until_at > from_at),
  CONSTRAINT entitlement_limits_check CHECK (clusters >= 0 AND hosts >= 0 AND leases >= 0)
);
CREATE UNIQUE INDEX entitlement_region_key ON gc.entitlement (tenant_id, region_id) WHERE ended_at IS NULL;
CREATE INDEX entitlement_region ON gc.entitlement (region_id) WHERE ended_at IS NULL;
SELECT gc.protect('gc.entitlement', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, id, region_id, from_at, until_at, clusters, hosts, leases, ended_at)
  ON gc.entitlement TO exarch_sweep;
CREATE POLICY entitlement_sweep ON gc.entitlement FOR SELECT TO exarch_sweep USING (true);

-- What happened, one chain for each tenant; the provider's own is kept under a tenant that does not exist.
CREATE TABLE gc.audit (
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
  decision_id    text,
  request_id     text,
  address        text,
  user_agent     text,
  break_glass_id text,
  flags          text[] NOT NULL DEFAULT '{}',
  prev_hash      bytea NOT NULL,
  hash           bytea NOT NULL,
  PRIMARY KEY (tenant_id, seq),
  CONSTRAINT audit_outcome_check CHECK (outcome IN ('ok', 'denied', 'failed')),
  CONSTRAINT audit_flags_check CHECK (flags <@ ARRAY['continued', 'offline', 'fips']),
  CONSTRAINT audit_hash_check CHECK (octet_length(prev_hash) = 32 AND octet_length(hash) = 32)
);
CREATE INDEX audit_at ON gc.audit (tenant_id, at);
SELECT gc.protect('gc.audit', 'select', 'insert');
SELECT gc.append_only('gc.audit');

-- The last row of each chain; its lock is what gives numbers without gaps.
CREATE TABLE gc.audit_head (
  tenant_id uuid PRIMARY KEY,
  seq       bigint NOT NULL,
  hash      bytea NOT NULL,
  CONSTRAINT audit_head_hash_check CHECK (octet_length(hash) = 32)
);
SELECT gc.protect('gc.audit_head', 'select', 'insert', 'update');
