// What a region's answer to a probe says of its gateways. The document is the region's own and of its version, so it is
// read with care: what is not as expected is left out.

export type Instance = { id: string; software: string; passport?: number; heartbeat_age: number };

export function instancesOf(answer: unknown): Instance[] {
  const listed = isRecord(answer) && Array.isArray(answer.instances) ? answer.instances : [];
  return listed.filter(isRecord).flatMap(({ id, software, passport, heartbeat_age }) => {
    if (typeof id !== 'string') return [];
    // generation and version
    const version = Array.isArray(passport) ? passport[1] : isRecord(passport) ? passport.version : undefined;
    return [{
      id,
      software: typeof software === 'string' ? software : 'unknown',
      passport: typeof version === 'number' ? version : undefined,
      heartbeat_age: typeof heartbeat_age === 'number' ? heartbeat_age : 0,
    }];
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
