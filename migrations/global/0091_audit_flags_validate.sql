ALTER TABLE gc.audit VALIDATE CONSTRAINT audit_flags_check;
