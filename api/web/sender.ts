// Sends what is kept, once and in order. The id of each scan was made before it was first sent: however often it goes
// out, the bank keeps one and answers the same.
import { fetchWithin } from "./page";
import { all, forget, type Kept, refuse } from "./store";

/** Who this browser is signed in as just now, and what a write has to carry. */
export interface Identity {
  memberId: string;
  csrf: string;
}

export interface Sent {
  scan: Kept;
  /** What the bank has answered; a refused scan is kept with its reason, unless somebody is watching. */
  answer: "done" | "refused";
}

// A network that takes everything and gives nothing back is none.
const patienceMilliseconds = 8_000;
const identityAddress = "/outbox.json";
// Not an answer: what was sent may be sent again, and later is better.
const unsettled = new Set(["busy", "unexpected", "body_incomplete", "conflict", "try_later"]);
// The session has changed since the page was made.
const strangers = new Set(["not_signed_in", "csrf_failed", "other_member"]);

/** Asks the bank who is signed in; null when nobody is. Fails without a network. */
export async function identify(): Promise<Identity | null> {
  const answer = await fetchWithin(patienceMilliseconds, identityAddress, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  const found = (await answer.json()) as { member_id: string | null; csrf: string };
  return found.member_id ? { memberId: found.member_id, csrf: found.csrf } : null;
}

/** Sends what waits for its turn; answers what was settled. Two tabs take turns, too. */
export async function flush(): Promise<Sent[]> {
  if (!navigator.locks) return run();
  return navigator.locks.request("timebank-outbox", run);
}

async function run(): Promise<Sent[]> {
  const settled: Sent[] = [];
  const waiting = (await all()).filter((scan) => scan.state === "waiting");
  if (!waiting.length) return settled;
  try {
    const identity = await identify();
    for (const scan of waiting) {
      if (scan.memberId !== identity?.memberId) continue;
      const answer = await send(scan, identity);
      if (answer === "stranger") break;
      settled.push({ scan, answer });
    }
  } catch {
    // Whatever comes after waits, too: what is sent is sent in order.
  }
  return settled;
}

async function send(scan: Kept, identity: Identity): Promise<"done" | "refused" | "stranger"> {
  const answer = await fetchWithin(patienceMilliseconds, scan.path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": identity.csrf },
    body: JSON.stringify(scan.body),
  });
  if (answer.ok) {
    await forget(scan.id);
    return "done";
  }
  const problem = (await answer.json()) as { code: string; detail: string };
  if (strangers.has(problem.code)) return "stranger";
  if (answer.status >= 500 || answer.status === 429 || unsettled.has(problem.code)) throw new Error(problem.code);
  await refuse(scan.id, problem.detail);
  return "refused";
}
