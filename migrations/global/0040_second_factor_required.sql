-- A tenant may ask everybody who has a place in it for a second factor.
ALTER TABLE gc.tenant ADD COLUMN second_factor_required boolean NOT NULL DEFAULT false;
GRANT UPDATE (second_factor_required) ON gc.tenant TO exarch_app;
GRANT SELECT (second_factor_required) ON gc.tenant TO exarch_sweep;
