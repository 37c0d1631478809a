// Names for the answers the pages use, read off the routes and not off schema names: whatever the generator of the
// document calls a schema, the pages stay as they are.
import type { paths } from './schema';

type Json<T> = T extends { content: { 'application/json': infer J } } ? J : never;
type Answer<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends { responses: { 200: infer R } }
  ? Json<R>
  : never;

export type SignInAnswer = Answer<'/v1/auth/sign-in', 'post'>;
export type NextStep = Extract<SignInAnswer, { status: 'next' }>;
export type Me = Answer<'/v1/me', 'get'>;
export type TenantName = Me['tenants'][number];
export type MyRegion = Answer<'/v1/me/regions', 'get'>['items'][number];
export type Asker = Answer<'/v1/me/device/look', 'post'>;
export type Region = Answer<'/v1/regions', 'get'>['items'][number];
