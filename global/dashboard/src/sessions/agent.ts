// What a program called itself, in the words in which people know it. A guess for reading; the whole text is on hover.

const programs: [RegExp, string][] = [
  [/^exarch\//, 'exarch command line'],
  [/\bEdg\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\//, 'Firefox'],
  [/\bChrom(e|ium)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];

const systems: [RegExp, string][] = [
  [/\b(iPhone|iPad)\b/, 'iOS'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
];

export function programOf(agent: string | null | undefined): string {
  if (!agent) return 'Unknown program';
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const [program, system] = [find(programs), find(systems)];
  return program ? [program, system].filter(Boolean).join(' on ') : agent.slice(0, 40);
}

const methods: Record<string, string> = { pwd: 'password', otp: 'one-time code', mfa: '' };

/** How a session was begun (RFC 8176), for people. */
export const methodsOf = (amr: readonly string[]): string =>
  amr.map((method) => methods[method] ?? method).filter(Boolean).join(', ');
