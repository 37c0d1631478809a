// Server-sent events as text gives them, in whatever pieces it comes.

export type ServerEvent = { name: string; data: string };

/** Takes the next piece and gives the events that it ends. Comments, ids and times to wait are not told. */
export function eventReader(): (piece: string) => ServerEvent[] {
  let rest = '';
  let name = '';
  let lines: string[] = [];
  return (piece) => {
    const events: ServerEvent[] = [];
    const parts = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = parts.pop() ?? '';
    for (const line of parts) {
      if (line === '') {
        if (lines.length > 0) events.push({ name: name || 'message', data: lines.join('\n') });
        [name, lines] = ['', []];
        continue;
      }
      const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (field === 'event') name = value;
      if (field === 'data') lines.push(value);
    }
    return events;
  };
}
