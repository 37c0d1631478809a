import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

// A machine that is busy with other things is slow and not wrong.
configure({ asyncUtilTimeout: 10_000 });

afterEach(cleanup);

// jsdom knows <dialog> but does not open or close it.
HTMLDialogElement.prototype.showModal ??= function showModal(this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function close(this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event('close'));
};

// jsdom has no CSS.escape; user-event walks radios with it. The names in these pages need no escaping.
globalThis.CSS ??= { escape: (text: string) => text } as typeof CSS;

// jsdom has no scrolling, which the router restores.
window.scrollTo = () => {};
