// How a kiosk speaks with the bank: each request carries a token that the tablet's own key has signed for it alone, and
// each answer sets the clock that the kiosk goes by.
import { fetchWithin } from "./page";
import { kept, type Self } from "./kiosk_store";

const patienceMilliseconds = 8_000;
const lifeSeconds = 60;
// The bank says every 15 seconds that it is still there: a network that takes everything and gives nothing is none.
const silenceMilliseconds = 40_000;
const text = new TextEncoder();

/** The bank said no, for good. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    readonly words: string,
    readonly data: Record<string, unknown>,
  ) {
    super(code);
  }
}

/** The bank's time, in milliseconds. Monotonic: whatever somebody sets the tablet's clock to moves nothing. */
export class BankClock {
  // How far the bank is ahead of this page's own time; and of the tablet's clock, for the next time the page is opened.
  private ahead = 0;
  private aheadOfTablet = 0;
  /** Whether nobody knows what time it is, until the bank says. */
  doubtful = true;

  now(): number {
    return performance.now() + this.ahead;
  }

  /** What is known of the time when the page is opened without a network: what the tablet says, put right as before. */
  async recall(): Promise<void> {
    const known = await (await kept()).get("facts", "clock");
    if (!known || !("ahead" in known)) return;
    this.aheadOfTablet = known.ahead;
    const now = Date.now() + known.ahead;
    // Time does not run backwards: somebody has set the tablet's clock.
    this.doubtful = now < known.seen;
    this.ahead = Math.max(now, known.seen) - performance.now();
  }

  /**
   * The bank said that it was `told` at a moment between two of this page's own. Two that are far apart say nothing: the
   * tablet slept in between.
   */
  async set(told: number, sent: number, heard: number): Promise<void> {
    if (heard - sent > 2 * patienceMilliseconds) throw new Error("slept");
    this.ahead = told - (sent + heard) / 2;
    this.aheadOfTablet = this.now() - Date.now();
    this.doubtful = false;
    await this.remember();
  }

  async remember(): Promise<void> {
    await (await kept()).put("facts", { ahead: this.aheadOfTablet, seen: this.now() }, "clock");
  }

  /** Whether the tablet's clock and this page's time have come apart: it was set, or the tablet has slept. */
  get hasSlipped(): boolean {
    return Math.abs(Date.now() + this.aheadOfTablet - this.now()) > 5_000;
  }
}

const base64url = (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=/g, "");

/** The token for one request. */
async function credential(self: Self, clock: BankClock, method: string, path: string, body: string): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  const header = { alg: "ES256", typ: "kiosk+jwt", kid: String(self.number) };
  const claims = {
    iss: "timebank-kiosk",
    aud: location.origin,
    iat: now,
    exp: now + lifeSeconds,
    htm: method,
    htu: path,
    body: base64url(await crypto.subtle.digest("SHA-256", text.encode(body))),
  };
  const signed = [header, claims].map((part) => base64url(text.encode(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, self.key, text.encode(signed));
  return `${signed}.${base64url(signature)}`;
}

/** Asks the bank. Throws `Refused` for a refusal, and something else where there is no answer that counts. */
export async function ask(self: Self, clock: BankClock, path: string, body?: unknown): Promise<unknown> {
  for (const attempt of [1, 2]) {
    const answer = await send(self, clock, path, body);
    if (answer.ok) return answer.json();
    if (answer.status >= 500 || answer.status === 429) throw new Error(String(answer.status));
    const problem = (await answer.json()) as { code: string; detail: string; data: Record<string, unknown> };
    // The clock was off by more than the bank forgives: it has just said what time it is.
    if (problem.code === "credential_expired" && attempt === 1) {
      await clock.set(Date.parse(String(problem.data.now)), performance.now(), performance.now());
    } else {
      throw new Refused(problem.code, problem.detail, problem.data);
    }
  }
  throw new Error("unreachable");
}

async function send(self: Self, clock: BankClock, path: string, body?: unknown): Promise<Response> {
  const content = body === undefined ? "" : JSON.stringify(body);
  const method = body === undefined ? "GET" : "POST";
  const options: RequestInit = {
    method,
    cache: "no-store",
    // Nobody is signed in here, and if somebody were it would not be for this.
    credentials: "omit",
    headers: {
      Authorization: `Bearer ${await credential(self, clock, method, path, content)}`,
      // In the language of the page: a refusal is shown as it comes.
      "Accept-Language": document.documentElement.lang,
    },
  };
  if (body !== undefined) {
    options.body = content;
    options.headers = { ...options.headers, "Content-Type": "application/json" };
  }
  return fetchWithin(patienceMilliseconds, path, options);
}

/** Calls `changed` for each event of the bank's, until the line ends; throws when it breaks, or is silent. */
export async function listen(
  self: Self, clock: BankClock, path: string, changed: () => void, stop: AbortSignal,
): Promise<void> {
  const token = await credential(self, clock, "GET", path, "");
  const line = new AbortController();
  const cut = (): void => line.abort();
  stop.addEventListener("abort", cut);
  let silence = setTimeout(cut, silenceMilliseconds);
  try {
    const answer = await fetch(path, {
      cache: "no-store", credentials: "omit", headers: { Authorization: `Bearer ${token}` }, signal: line.signal,
    });
    const lines = answer.body?.getReader();
    if (!answer.ok || !lines) throw new Error(String(answer.status));
    const words = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await lines.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(cut, silenceMilliseconds);
      const events = (rest + words.decode(value, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      if (events.some((event) => event.startsWith("event: change"))) changed();
    }
  } finally {
    clearTimeout(silence);
    stop.removeEventListener("abort", cut);
  }
}
