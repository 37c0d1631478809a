-- no-transaction
-- What a tenant reads of the provider is a small part of a long log.
CREATE INDEX CONCURRENTLY audit_provider_access ON gc.audit (tenant_id, seq)
  WHERE break_glass_id IS NOT NULL OR 'provider' = ANY (flags);
