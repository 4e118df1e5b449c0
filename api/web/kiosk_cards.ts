// Cards at a kiosk: scanned by a scanner that types, or typed; with the member's PIN or without. Without a network a card
// waits on the tablet, without its PIN, and is sent later as scanned at that moment.
import { BankClock, Refused, ask } from "./kiosk_bank";
import { uuid7 } from "./ids";
import { kept, type Scan, type Self } from "./kiosk_store";
import { need } from "./page";

const path = "/api/v1/kiosk/card-scans";
const shownMilliseconds = 12_000;
const forgottenMilliseconds = 60_000;

const form = need<HTMLFormElement>("[data-cards]");
const code = need<HTMLInputElement>("[name=code]", form);
const pin = need<HTMLInputElement>("[name=pin]", form);
const answer = need("[data-answer]");
const waiting = need("[data-waiting]");
const refusals = need("[data-refusals]");
const left = need("[data-left]");
const words = form.dataset;
const language = document.documentElement.lang;
const moment = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
  dateStyle: "medium", timeStyle: "short", timeZone: words.zone,
});
let sending: Promise<void> | undefined;
// Whose own sender is at work, with a PIN that nobody else has.
const underWay = new Set<string>();
let clearing: ReturnType<typeof setTimeout> | undefined;

interface Answered {
  code: string;
  data: { at?: string; minutes?: number };
}

function tell(kind: "good" | "stop" | "wait", said: string): void {
  answer.className = `notice notice-${kind}`;
  answer.hidden = false;
  answer.textContent = said;
  clearTimeout(clearing);
  clearing = setTimeout(() => { answer.hidden = true; }, shownMilliseconds);
}

/** Takes what is scanned from now on; `done` is called when the bank has taken one, or there is no bank. */
export function watchCards(self: Self, clock: BankClock, done: () => void): void {
  let forgetting: ReturnType<typeof setTimeout> | undefined;
  const clear = (): void => {
    form.reset();
    code.focus({ preventScroll: true });
  };
  form.addEventListener("input", () => {
    // What somebody began to type and left is not the next one's.
    clearTimeout(forgetting);
    forgetting = setTimeout(clear, forgottenMilliseconds);
  });
  code.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // A scanner ends with Enter; then comes the PIN, or one of the two buttons.
    event.preventDefault();
    if (!code.value.trim()) return;
    if (pin.offsetParent) pin.focus();
    else need<HTMLButtonElement>("button", form).focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const kind = event.submitter instanceof HTMLButtonElement && event.submitter.value === "out" ? "out" : "in";
    const scanned = code.value.trim();
    if (!scanned) return;
    const now = clock.now();
    const scan: Scan = { id: uuid7(now), kind, code: scanned, scanned_at: new Date(now).toISOString() };
    const typed = pin.value;
    clear();
    void take(self, clock, scan, typed, done);
  });
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const idle = at instanceof Element && !at.closest("input, button, a, summary");
    if (idle && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) code.focus();
  });
  code.focus({ preventScroll: true });
  void show();
}

async function take(self: Self, clock: BankClock, scan: Scan, typed: string, done: () => void): Promise<void> {
  // Kept before it is sent: a tablet that is switched off now loses nothing.
  const store = await kept();
  underWay.add(scan.id);
  await store.put("scans", scan);
  try {
    // Whoever came first goes first.
    await sendAll(self, clock);
    if ((await waitingScans()).some(({ id }) => id < scan.id)) throw new Error("no network");
    const found = (await ask(self, clock, path, typed ? { ...scan, pin: typed } : scan)) as Answered;
    await store.delete("scans", scan.id);
    tell(found.code === "held" ? "wait" : "good", sentence(scan, found));
    done();
  } catch (error) {
    if (error instanceof Refused) {
      await store.delete("scans", scan.id);
      tell("stop", error.words);
    } else {
      tell("wait", words.sayKept ?? "");
      done();
    }
  } finally {
    underWay.delete(scan.id);
  }
  await show();
}

/** What the bank has not answered yet, the first first: ids of version 7 are in the order of their making. */
async function waitingScans(): Promise<Scan[]> {
  return (await (await kept()).getAll("scans")).filter((scan) => !scan.refusal);
}

function sentence(scan: Scan, found: Answered): string {
  if (found.code === "held") return words.sayHeld ?? "";
  if (scan.kind === "in") return words.sayIn ?? "";
  return (words.sayOut ?? "").replace("{}", String(found.data.minutes ?? 0));
}

/** Sends what waits, the first first; stops where there is no answer. */
export async function sendAll(self: Self, clock: BankClock): Promise<void> {
  sending ??= sendEach(self, clock).finally(() => { sending = undefined; });
  await sending;
}

async function sendEach(self: Self, clock: BankClock): Promise<void> {
  const store = await kept();
  for (const scan of await waitingScans()) {
    if (underWay.has(scan.id)) continue;
    try {
      await ask(self, clock, path, scan);
      await store.delete("scans", scan.id);
    } catch (error) {
      if (!(error instanceof Refused)) break;
      await store.put("scans", { ...scan, refusal: error.words });
    }
  }
  await show();
}

/** How many wait, and which the bank did not take, until somebody has seen it. */
async function show(): Promise<void> {
  const store = await kept();
  const all = await store.getAll("scans");
  const count = (await waitingScans()).length;
  waiting.hidden = count === 0;
  waiting.textContent = (words.sayWaiting ?? "").replace("{}", String(count));
  const refused = all.filter((scan) => scan.refusal);
  refusals.replaceChildren(...refused.map((scan) => row(scan, scan.refusal ?? "", show)));
}

/** What the tablet holds when it is no kiosk any more: nobody takes it now, so a manager has to know of it. */
export async function showLeft(): Promise<void> {
  const scans = await (await kept()).getAll("scans");
  const [list, { sayIn, sayOut }] = [need("ul", left), left.dataset];
  left.hidden = scans.length === 0;
  list.replaceChildren(...scans.map((scan) => row(scan, (scan.kind === "in" ? sayIn : sayOut) ?? "", showLeft)));
}

/** A card that was scanned: when, its last four characters, and what about it; until somebody has seen it. */
function row(scan: Scan, said: string, seen: () => Promise<void>): HTMLLIElement {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.className = "button";
  button.textContent = words.saySeen ?? "";
  button.addEventListener("click", () => void kept().then((store) => store.delete("scans", scan.id)).then(seen));
  item.append(`${moment.format(Date.parse(scan.scanned_at))} · …${scan.code.slice(-4)} · ${said} `, button);
  return item;
}
