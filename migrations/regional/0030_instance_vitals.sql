-- What a replica knows of its own state at its heartbeat, for the probe that another replica answers.
ALTER TABLE gw.instance ADD COLUMN vitals jsonb;
