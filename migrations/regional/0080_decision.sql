-- What was refused to whom and by what they held then, so that it can be explained and asked again; for seven days. What somebody
-- without a tenant in force was refused is the provider's.
CREATE TABLE gw.decision (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  at        timestamptz NOT NULL,
  record    jsonb NOT NULL,
  CONSTRAINT decision_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX decision_at ON gw.decision (at);
SELECT gw.protect('gw.decision', 'select', 'insert');
GRANT SELECT (tenant_id, id, at), DELETE ON gw.decision TO exarch_sweep;
CREATE POLICY decision_sweep ON gw.decision FOR SELECT TO exarch_sweep USING (true);
CREATE POLICY decision_sweep_delete ON gw.decision FOR DELETE TO exarch_sweep USING (true);
