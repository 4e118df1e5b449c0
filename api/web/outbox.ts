// Check-ins and check-outs outlive the network: what is confirmed is kept on the phone first and then sent, and goes
// out by itself later when that fails. Without this script the same forms go to the bank directly.
import { signal } from "./feedback";
import { uuid7 } from "./ids";
import { language, need } from "./page";
import { flush, type Sent } from "./sender";
import { all, forget, type Kept, keep, lastOwner, setOwner } from "./store";

interface Words {
  waiting: string;
  refused: string;
  sent: string;
  strangers: string;
  note: string;
  in: string;
  out: string;
  dismiss: string;
  look: string;
}

const box = need("[data-outbox]");
const words = JSON.parse(box.dataset.words ?? "{}") as Words;
let memberId = box.dataset.member ?? "";
// How far the bank's clock was ahead of this device's when the page was made: an old PC's may be days away.
const aheadMilliseconds = box.dataset.now ? Number(box.dataset.now) - Date.now() : 0;
// Between two tries while something waits and nothing has happened.
const restMilliseconds = 20_000;
// What is answered within this time needs no word of waiting.
const hushMilliseconds = 1_500;
// What is being watched on this page: its answer has a page of its own.
let watched: Kept | null = null;
// So late that it is better told at once that it is kept.
let slow = false;
let sentNow: Sent[] = [];

const time = new Intl.DateTimeFormat(language, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  ...(box.dataset.zone ? { timeZone: box.dataset.zone } : {}),
});

function element(name: string, text = ""): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function told(scan: Kept): string {
  return [words[scan.kind], time.format(scan.madeAt), scan.label].filter(Boolean).join(" ");
}

function line(scan: Kept, more: string): HTMLElement {
  const row = element("li");
  const said = element("span", told(scan));
  said.className = "line";
  row.append(said);
  if (more) row.append(" ", element("span", more));
  return row;
}

function dismiss(scan: Kept): HTMLElement {
  const button = element("button", words.dismiss) as HTMLButtonElement;
  button.type = "button";
  button.className = "button";
  button.setAttribute("aria-label", `${words.dismiss}: ${told(scan)}`);
  button.addEventListener("click", () => void forget(scan.id).then(show));
  return button;
}

function answered({ scan }: Sent): HTMLElement {
  const row = line(scan, "");
  const link = element("a", words.look) as HTMLAnchorElement;
  link.href = scan.answerAt;
  link.className = "reach";
  row.append(" ", link);
  return row;
}

function group(name: string, rows: HTMLElement[], title: string): void {
  const part = need(`[data-part=${name}]`, box);
  need("[data-part=title]", part).textContent = title;
  need("ul", part).replaceChildren(...rows);
  part.hidden = !title;
}

/** Says what is kept here. What another member has to send is counted and not shown. */
async function show(): Promise<void> {
  const kept = await all();
  const mine = kept.filter((scan) => scan.memberId === memberId);
  const waiting = mine.filter((scan) => scan.state === "waiting" && (scan.id !== watched?.id || slow));
  const refused = mine.filter((scan) => scan.state === "refused");
  const done = sentNow.filter((sent) => sent.answer === "done");
  const others = kept.length - mine.length;
  group("waiting", waiting.map((scan) => line(scan, "")), waiting.length ? words.waiting : "");
  group(
    "refused",
    refused.map((scan) => {
      const row = line(scan, scan.reason ?? "");
      row.append(dismiss(scan));
      return row;
    }),
    refused.length ? words.refused : "",
  );
  group("sent", done.map(answered), done.length ? words.sent : "");
  group("strangers", [], others ? words.strangers : "");
  box.hidden = !(waiting.length || refused.length || done.length || others);
}

/** Tries to send what waits; goes on to the answer of what is watched. */
async function tryNow(): Promise<void> {
  const settled = await flush();
  const own = watched;
  if (own && (await all()).find((scan) => scan.id === own.id)?.state !== "waiting") {
    signal(settled.some((sent) => sent.scan.id === own.id && sent.answer === "done"));
    // Its own page says what became of it, and why.
    await forget(own.id);
    location.assign(own.answerAt);
    return;
  }
  sentNow = [...sentNow, ...settled];
  watched = null;
  await show();
}

/** The fields of a form, with those of the button that was pressed. */
function fieldsOf(form: HTMLFormElement, button: HTMLElement | null): Record<string, string> {
  const fields: Record<string, string> = {};
  new FormData(form).forEach((value, name) => {
    fields[name] = String(value);
  });
  if (button instanceof HTMLButtonElement && button.name) fields[button.name] = button.value;
  return fields;
}

/** What a form of ours would send, when it is one that can wait. */
function scanOf(form: HTMLFormElement, button: HTMLElement | null): Kept | null {
  const fields = fieldsOf(form, button);
  const { id, kind } = fields;
  if (!memberId || !id || (kind !== "in" && kind !== "out")) return null;
  const common = { id, memberId, kind, madeAt: Date.now(), state: "waiting" } as const;
  const desk = /^\/stations\/(\d+)\/cards$/.exec(new URL(form.action).pathname);
  if (desk) {
    // A PIN is never kept: with one, the form goes to the bank directly, or not at all.
    if (fields.pin || !fields.code) return null;
    const scannedAt = new Date(Date.now() + aheadMilliseconds).toISOString();
    const body = { id, kind, code: fields.code, member_id: memberId, scanned_at: scannedAt };
    const path = `/api/v1/stations/${desk[1]}/card-scans`;
    return { ...common, path, body, answerAt: `/stations/${desk[1]}?answer=${id}`, label: fields.code.slice(-4) };
  }
  // Digits and posters count at once or not at all.
  const code = fields.ticket || (fields.late === "1" ? fields.code : "");
  if (!code || new URL(form.action).pathname !== "/check-in") return null;
  // `late`: a ticket that arrives after its ten minutes counts as its code does. No phone's clock goes with it.
  const body = { id, code, late: true, member_id: memberId };
  return { ...common, path: `/api/v1/check-${kind}s`, body, answerAt: `/check-in/${id}?kind=${kind}` };
}

/** As if there were no script; what a submit event would have carried of its button goes along. */
function sendPlainly(form: HTMLFormElement, kind: string): void {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "kind";
  field.value = kind;
  if (!form.querySelector("input[name=kind]")) form.append(field);
  form.submit();
}

/** After a scan was kept: the desk's form is for the next card, with another id; a check-in's is done. */
function renew(form: HTMLFormElement): void {
  const code = form.querySelector<HTMLInputElement>("[data-scan]");
  if (!code) {
    form.hidden = true;
    return;
  }
  code.value = "";
  need<HTMLInputElement>("[name=id]", form).value = uuid7();
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  code.focus();
}

async function take(form: HTMLFormElement, scan: Kept): Promise<void> {
  try {
    await keep(scan);
  } catch {
    // A browser that keeps nothing.
    sendPlainly(form, scan.kind);
    return;
  }
  watched = scan;
  slow = false;
  const hush = setTimeout(() => {
    slow = true;
    void show();
  }, hushMilliseconds);
  await tryNow();
  clearTimeout(hush);
  if ((await all()).some((kept) => kept.id === scan.id && kept.state === "waiting")) {
    renew(form);
    box.scrollIntoView({ block: "nearest" });
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || event.defaultPrevented || form.method !== "post") return;
  const scan = scanOf(form, event.submitter);
  if (!scan) return;
  event.preventDefault();
  void take(form, scan);
});

/** Whatever may mean that there is a network again. */
function again(): void {
  if (!document.hidden) void tryNow().catch(() => undefined);
}

async function begin(): Promise<void> {
  try {
    // The page that opens without a network knows nobody by itself.
    if (box.dataset.shell) memberId = await lastOwner();
    else await setOwner(memberId);
  } catch {
    // Nothing can be kept in this browser, and nothing is.
    return;
  }
  addEventListener("online", again);
  addEventListener("pageshow", again);
  document.addEventListener("visibilitychange", again);
  setInterval(() => {
    void all().then((kept) => {
      if (kept.some((scan) => scan.state === "waiting")) again();
    });
  }, restMilliseconds);
  document.addEventListener("kept", again);
  await show();
  again();
}

void begin();
// It adds opening a page without a network, and nothing else here needs it.
if (box.dataset.worker) navigator.serviceWorker?.register(box.dataset.worker).catch(() => undefined);
