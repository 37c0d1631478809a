-- The replicas of the controller meet here and nowhere else. Heartbeats are judged by the database's clock, the one clock that
-- they share. None of it belongs to a tenant: rows are reached by SystemTx, and a request holds what goes to a region as a
-- whole, a probe or a signed passport.
CREATE TABLE gc.instance (
  id           uuid PRIMARY KEY,
  software     text NOT NULL,
  started_at   timestamptz NOT NULL,
  heartbeat_at timestamptz NOT NULL
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON gc.instance TO exarch_app;

-- Who leads. The term rises with every change of the leader and with nothing else. It is a key, so that a transaction that
-- holds the row by FOR KEY SHARE keeps others from taking over until it ends, and heartbeats go on.
CREATE TABLE gc.leader (
  one          boolean PRIMARY KEY DEFAULT true,
  term         bigint NOT NULL DEFAULT 0,
  holder       uuid,
  heartbeat_at timestamptz,
  CONSTRAINT leader_one_check CHECK (one),
  CONSTRAINT leader_term_key UNIQUE (term)
) WITH (fillfactor = 50);
INSERT INTO gc.leader DEFAULT VALUES;
GRANT SELECT, UPDATE (term, holder, heartbeat_at) ON gc.leader TO exarch_app;
-- To hold the row, which takes the right to change some column of it.
GRANT SELECT (term, holder), UPDATE (heartbeat_at) ON gc.leader TO exarch_sweep;

-- Which replica a region can be called from.
CREATE TABLE gc.tunnel (
  region_id   uuid NOT NULL REFERENCES gc.region,
  instance_id uuid NOT NULL REFERENCES gc.instance ON DELETE CASCADE,
  since       timestamptz NOT NULL,
  PRIMARY KEY (region_id, instance_id)
);
GRANT SELECT, INSERT, DELETE ON gc.tunnel TO exarch_app;

-- What a replica without a tunnel of a region asks of one that has it, and the answer. A request is taken once; the row is gone
-- when its answer was read, or some time after nobody waits for it any more.
CREATE TABLE gc.region_request (
  id           uuid PRIMARY KEY,
  region_id    uuid NOT NULL REFERENCES gc.region,
  path         text NOT NULL,
  content_type text NOT NULL,
  body         bytea NOT NULL,
  until        timestamptz NOT NULL,
  taken_by     uuid,
  answered_at  timestamptz,
  -- of a believed answer
  status       integer,
  answer       bytea,
  -- why there is none
  failure      text,
  CONSTRAINT region_request_answer_check CHECK ((status IS NULL) = (answer IS NULL))
);
GRANT SELECT, INSERT, UPDATE (taken_by, answered_at, status, answer, failure), DELETE ON gc.region_request TO exarch_app;
GRANT SELECT (until), DELETE ON gc.region_request TO exarch_sweep;
