// Names for the answers the pages use, read off the routes and not off schema names: whatever the generator of the
// document calls a schema, the pages stay as they are.
import type { paths } from './schema';

type Json<T> = T extends { content: { 'application/json': infer J } } ? J : never;
type Answer<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends { responses: { 200: infer R } }
  ? Json<R>
  : never;

export type SignInAnswer = Answer<'/v1/auth/sign-in', 'post'>;
export type NextStep = Extract<SignInAnswer, { status: 'next' }>;
export type PermissionEntry = Answer<'/v1/permissions', 'get'>['items'][number];
export type Role = Answer<'/v1/roles', 'get'>['items'][number];
/** Who is signed in, and the names of what they hold. */
export type Me = Answer<'/v1/me', 'get'> & { held: string[] };
export type TenantName = Me['tenants'][number];
export type MyRegion = Answer<'/v1/me/regions', 'get'>['items'][number];
export type InvitedTo = Answer<'/v1/auth/invitation', 'post'>;
export type Asker = Answer<'/v1/me/device/look', 'post'>;
type Made<P extends keyof paths> = paths[P] extends { post: { responses: { 201: infer R } } } ? Json<R> : never;

export type Tenant = Answer<'/v1/tenants', 'get'>['items'][number];
export type CreatedTenant = Made<'/v1/tenants'>;
export type Entitlement = Answer<'/v1/tenants/{id}/entitlements', 'get'>['items'][number];
export type Limits = Entitlement['limits'];
export type Membership = Answer<'/v1/tenants/{id}/memberships', 'get'>['items'][number];
export type Invited = Made<'/v1/users'>;
export type Invitation = Answer<'/v1/invitations', 'get'>['items'][number];
export type Session = Answer<'/v1/me/sessions', 'get'>['items'][number];
export type Person = Answer<'/v1/federation-users/find', 'post'>;
export type ApiKey = Answer<'/v1/api-keys', 'get'>['items'][number];
export type KeyWithSecret = Made<'/v1/api-keys'>;
export type SecondFactor = Answer<'/v1/me/second-factor', 'get'>;
export type Enrolment = Made<'/v1/me/totp'>;
export type Registered = Made<'/v1/regions'>;
export type JoinToken = Made<'/v1/regions/{slug}/join-token'>;
export type Probe = Answer<'/v1/regions/{slug}/probes', 'get'>['items'][number];
export type ProbeSummary = Answer<'/v1/regions/{slug}/probes/summary', 'get'>;
export type Region = Answer<'/v1/regions', 'get'>['items'][number];
