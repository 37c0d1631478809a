-- Break-glass: a person of the provider asks for a place in a tenant for some minutes, a second one approves. While it is in force
-- it is a membership of its own kind: no list of members shows it and no route of memberships changes it.
CREATE TABLE gc.break_glass (
  tenant_id    uuid NOT NULL REFERENCES gc.tenant,
  id           uuid NOT NULL,
  requester    uuid NOT NULL REFERENCES gc.user,
  mode         text NOT NULL,
  reason       text NOT NULL,
  ticket       text NOT NULL,
  minutes      integer NOT NULL,
  -- nobody was left to administer the tenant: two people approve, and its members hear of it a day before
  rescue       boolean NOT NULL,
  state        text NOT NULL DEFAULT 'requested',
  requested_at timestamptz NOT NULL,
  -- of a rescue
  seconded_by  uuid REFERENCES gc.user,
  -- who approved or denied it
  decided_by   uuid REFERENCES gc.user,
  decided_at   timestamptz,
  -- of an approved one
  from_at      timestamptz,
  until_at     timestamptz,
  -- who ended it before its time, or that it was its time
  ended_by     text,
  ended_at     timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT break_glass_mode_check CHECK (mode IN ('read', 'write')),
  CONSTRAINT break_glass_minutes_check CHECK (minutes BETWEEN 1 AND 60),
  CONSTRAINT break_glass_state_check CHECK (state IN ('requested', 'approved', 'denied', 'expired', 'ended')),
  CONSTRAINT break_glass_second_person_check
    CHECK (decided_by <> requester AND seconded_by <> requester AND seconded_by <> decided_by),
  CONSTRAINT break_glass_rescue_check CHECK (NOT rescue OR mode = 'write'),
  CONSTRAINT break_glass_decided_check CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
  CONSTRAINT break_glass_times_check CHECK (until_at > from_at AND until_at <= from_at + interval '60 minutes'),
  CONSTRAINT break_glass_approved_check CHECK (state <> 'approved' OR (decided_by IS NOT NULL AND until_at IS NOT NULL)),
  CONSTRAINT break_glass_ended_check CHECK ((ended_by IS NULL) = (ended_at IS NULL))
);
CREATE INDEX break_glass_open ON gc.break_glass (requester) WHERE state IN ('requested', 'approved');
SELECT gc.protect('gc.break_glass', 'select', 'insert', 'update');
-- the provider's list runs over all tenants, and so does whatever ends them by the clock
GRANT SELECT (tenant_id, id, requester, mode, reason, ticket, minutes, rescue, state, requested_at, seconded_by, decided_by,
              decided_at, from_at, until_at, ended_by, ended_at) ON gc.break_glass TO exarch_sweep;
CREATE POLICY break_glass_sweep ON gc.break_glass FOR SELECT TO exarch_sweep USING (true);
CREATE TRIGGER tells_break_glass AFTER INSERT OR UPDATE ON gc.break_glass
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_break_glass', 'gc_access');

-- the grant by which a session is in its tenant; none for members
ALTER TABLE gc.session ADD COLUMN break_glass uuid;

-- what the provider did to a tenant is marked in the tenant's own audit
ALTER TABLE gc.audit DROP CONSTRAINT audit_flags_check;
ALTER TABLE gc.audit ADD CONSTRAINT audit_flags_check
  CHECK (flags <@ ARRAY['continued', 'offline', 'fips', 'provider']) NOT VALID;
