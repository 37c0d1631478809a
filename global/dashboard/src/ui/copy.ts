import { toast } from './Toasts';

/** Puts text on the clipboard and says so, or that the browser would not. A secret is not said again beside the page. */
export async function copy(text: string, what: string, secret = false): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} is on the clipboard.`);
    return true;
  } catch {
    toast(secret ? `${what} could not be copied; select it and copy it by hand.` : `${what} could not be copied; it is ${text}`);
    return false;
  }
}
