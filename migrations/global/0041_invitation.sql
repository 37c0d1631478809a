-- Who is invited into a tenant by mail, whether or not they have an account elsewhere. The address is personal data of the
-- tenant: sealed in its place, and gone some days after the invitation is over.
CREATE TABLE gc.invitation (
  tenant_id    uuid NOT NULL REFERENCES gc.tenant,
  id           uuid NOT NULL,
  email_sealed bytea NOT NULL,
  email_index  bytea NOT NULL,
  display_name text NOT NULL,
  roles        text[] NOT NULL,
  -- of the token in the last mail
  token_hash   bytea NOT NULL,
  invited_by   uuid NOT NULL REFERENCES gc.user,
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  -- accepted, cancelled, or in the place of another one
  ended_at     timestamptz,
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT invitation_token_key UNIQUE (tenant_id, token_hash),
  CONSTRAINT invitation_email_index_check CHECK (octet_length(email_index) = 32),
  CONSTRAINT invitation_token_check CHECK (octet_length(token_hash) = 32),
  CONSTRAINT invitation_roles_check CHECK (cardinality(roles) > 0)
);
CREATE UNIQUE INDEX invitation_email_key ON gc.invitation (tenant_id, email_index) WHERE ended_at IS NULL;
CREATE INDEX invitation_expires ON gc.invitation (expires_at);
SELECT gc.protect('gc.invitation', 'select', 'insert', 'update');
GRANT SELECT (tenant_id, id, expires_at), DELETE ON gc.invitation TO exarch_sweep;
CREATE POLICY invitation_sweep ON gc.invitation FOR SELECT TO exarch_sweep USING (true);
CREATE POLICY invitation_sweep_delete ON gc.invitation FOR DELETE TO exarch_sweep USING (true);
CREATE TRIGGER tells_invitation AFTER INSERT OR UPDATE OR DELETE ON gc.invitation
  FOR EACH STATEMENT EXECUTE FUNCTION gc.tell('gc_invitation');
