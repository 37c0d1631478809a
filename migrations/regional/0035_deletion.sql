-- What was deleted stays as a row that no list and no name finds: leases, tokens and the audit name it, and the highest fence of
-- a resource must be known for ever. NULL is what is there.
ALTER TABLE gw.cluster ADD COLUMN deleted_at timestamptz;
ALTER TABLE gw.host ADD COLUMN deleted_at timestamptz;
ALTER TABLE gw.resource ADD COLUMN deleted_at timestamptz;
ALTER TABLE gw.workload ADD COLUMN deleted_at timestamptz;
-- Rises with each change that people make of an agent; what it says of itself is none.
ALTER TABLE gw.agent ADD COLUMN version bigint NOT NULL DEFAULT 1;
