-- no-transaction
-- What a tenant reads of the provider's people who came in by emergency access is a small part of a long log.
CREATE INDEX CONCURRENTLY audit_provider_access ON gw.audit (tenant_id, seq) WHERE break_glass_id IS NOT NULL;
