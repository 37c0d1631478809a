// All tabs of a browser share one session cookie: what one tab changes about the session the others must learn.

const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('exarch-session');

export function tellOtherTabs(): void {
  channel?.postMessage('changed');
}

export function onOtherTab(callback: () => void): void {
  if (channel) channel.onmessage = callback;
}
