// Makes the tablet that it runs on a station's kiosk: a key pair whose private half no script can read, its public half
// for the bank. Afterwards nobody is signed in here any more.
import { keepHours, kept } from "./kiosk_store";
import { ask, BankClock } from "./kiosk_bank";
import { fetchWithin, need } from "./page";

const form = need<HTMLFormElement>("[data-enrol]");
const notice = need("[data-notice]", form);
const button = need<HTMLButtonElement>("button", form);
const csrf = need<HTMLInputElement>("[name=csrf]", form).value;
const patienceMilliseconds = 15_000;

function tell(words: string): void {
  notice.hidden = false;
  need("[data-words]", notice).textContent = words;
  button.disabled = false;
}

async function post(path: string, body: unknown, method = "POST"): Promise<Response> {
  const options: RequestInit = { method, headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf } };
  if (body !== undefined) options.body = JSON.stringify(body);
  return fetchWithin(patienceMilliseconds, path, options);
}

async function enrol(): Promise<void> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const bytes = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const sent = performance.now();
  const answer = await post(form.dataset.enrol ?? "", {
    id: need<HTMLInputElement>("[name=id]", form).value,
    name: need<HTMLInputElement>("[name=name]", form).value,
    public_key: btoa(String.fromCharCode(...bytes)),
  });
  if (!answer.ok) {
    tell(((await answer.json()) as { detail: string }).detail);
    return;
  }
  const made = (await answer.json()) as { id: string; number: number; station_number: number; now: string };
  const clock = new BankClock();
  await clock.set(Date.parse(made.now), sent, performance.now());
  const self = { id: made.id, number: made.number, station: made.station_number, key: pair.privateKey };
  const store = await kept();
  await store.clear("keys");
  await store.clear("facts");
  await clock.remember();
  const { keys } = (await ask(self, clock, "/api/v1/kiosk/keys")) as { keys: { hour: number; key: string }[] };
  await keepHours(keys);
  await store.put("self", self, "self");
  // The tablet stays on the table: the manager does not stay signed in on it.
  await post("/api/v1/session", undefined, "DELETE");
  location.assign("/kiosk");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  button.disabled = true;
  // Keys and the store are there over https, and on the machine itself.
  if (!window.isSecureContext) tell(form.dataset.insecure ?? "");
  else enrol().catch(() => tell(form.dataset.failed ?? ""));
});
