// What every script needs of the page that it runs in.

/** The one element that a template promises; its absence is a mistake of ours. */
export function need<Found extends Element = HTMLElement>(selector: string, within: ParentNode = document): Found {
  const found = within.querySelector<Found>(selector);
  if (!found) throw new Error(`not on this page: ${selector}`);
  return found;
}

/** The reader's language, for numbers and times: the same English as the pages' own. */
export const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

/** Fetches, and gives up after so many milliseconds. Older phones have no AbortSignal.timeout. */
export async function fetchWithin(milliseconds: number, address: string, options: RequestInit = {}): Promise<Response> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), milliseconds);
  try {
    return await fetch(address, { ...options, signal: stop.signal });
  } finally {
    clearTimeout(timer);
  }
}
