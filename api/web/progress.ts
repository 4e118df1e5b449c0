// Long work shows how far it is: the part of the page that says so is asked for anew until there is no more to wait for.
import { fetchWithin } from "./page";

const EVERY_MILLISECONDS = 1500;
const PATIENCE_MILLISECONDS = 10_000;

async function look(): Promise<void> {
  const here = document.querySelector("[data-progress]");
  if (!here) return;
  try {
    const answer = await fetchWithin(PATIENCE_MILLISECONDS, location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = page.querySelector("[data-progress]");
    if (answer.ok && !there) {
      // What comes next is another page at this address.
      location.reload();
      return;
    }
    if (there) here.replaceWith(document.adoptNode(there));
  } catch {
    // Without a network: later.
  }
  setTimeout(() => void look(), EVERY_MILLISECONDS);
}

setTimeout(() => void look(), EVERY_MILLISECONDS);
