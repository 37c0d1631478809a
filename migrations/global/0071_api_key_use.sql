-- Regions tell on which day their keys were used.
GRANT SELECT (region_id, last_used_on), UPDATE (last_used_on) ON gc.api_key TO exarch_sweep;
CREATE POLICY api_key_sweep_use ON gc.api_key FOR UPDATE TO exarch_sweep USING (true) WITH CHECK (true);
