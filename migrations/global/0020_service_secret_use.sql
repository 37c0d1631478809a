-- When a region first signed with a secret: from then on the one before it may be retired.
ALTER TABLE gc.service_secret ADD COLUMN first_used_at timestamptz;
GRANT UPDATE (first_used_at) ON gc.service_secret TO exarch_app;
