import { toast } from './Toasts';

/** Puts text on the clipboard and says so, or that the browser would not. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} is on the clipboard.`);
  } catch {
    toast(`${what} could not be copied; it is ${text}`);
  }
}
