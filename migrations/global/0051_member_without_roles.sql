-- A member need hold nothing in the whole tenant: roles in single clusters are bound in their regions.
ALTER TABLE gc.membership DROP CONSTRAINT membership_roles_check;
ALTER TABLE gc.invitation DROP CONSTRAINT invitation_roles_check;
