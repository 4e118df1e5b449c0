// Takes the code of a station's screen when the bank does not answer, and keeps it: on the page that opens without a
// network, for whoever was signed in last, and on the page to scan, which asks the bank first. Whose scan it is the bank
// compares when it arrives.
import { type Reading, readCode } from "./codes";
import { signal } from "./feedback";
import { uuid7 } from "./ids";
import { need } from "./page";
import { identify } from "./sender";
import { keep, lastOwner } from "./store";

const place = need("[data-keeper]");
const form = need<HTMLFormElement>("form[data-codes]", place);
const field = need<HTMLInputElement>("[data-scan]", form);
const hosts = [...(place.dataset.hosts ?? "").split(" "), location.hostname];
// The page that opens without a network has nobody to ask.
const asks = place.dataset.keeper === "asks";

let scanned: { code: string; at: Date } | null = null;

function part(name: string): HTMLElement {
  return need(`[data-part=${name}]`, place);
}

function isStation(reading: Reading): reading is { kind: "station"; code: string } {
  return "kind" in reading && reading.kind === "station";
}

/** Takes what was scanned, when it is a station's code; anything else is told in words. */
function take(text: string): void {
  const reading = readCode(text, hosts);
  scanned = isStation(reading) ? { code: reading.code, at: new Date() } : null;
  signal(scanned !== null);
  part("wrong").hidden = scanned !== null;
  part("choice").hidden = scanned === null;
  part("kept").hidden = true;
  part("in").focus();
}

async function keepAs(kind: "in" | "out", memberId: string): Promise<void> {
  if (!scanned) return;
  const { code, at } = scanned;
  const id = uuid7();
  await keep({
    id,
    memberId,
    kind,
    path: `/api/v1/check-${kind}s`,
    body: { id, code, late: true, member_id: memberId, phone_time: at.toISOString() },
    madeAt: at.getTime(),
    state: "waiting",
    answerAt: `/check-in/${id}?kind=${kind}`,
  });
  scanned = null;
  field.value = "";
  part("choice").hidden = true;
  part("kept").hidden = false;
  document.dispatchEvent(new Event("kept"));
}

/** On to the bank when it answers. */
async function ask(text: string): Promise<void> {
  try {
    await identify();
  } catch {
    take(text);
    return;
  }
  form.submit();
}

async function begin(): Promise<void> {
  const memberId = await lastOwner().catch(() => "");
  if (!asks) {
    part("nobody").hidden = memberId !== "";
    part("taking").hidden = memberId === "";
  }
  if (!memberId) return;
  form.addEventListener("submit", (event) => {
    if (asks && !isStation(readCode(field.value, hosts))) return;
    event.preventDefault();
    if (asks) void ask(field.value);
    else take(field.value);
  });
  for (const kind of ["in", "out"] as const) part(kind).addEventListener("click", () => void keepAs(kind, memberId));
  if (asks) return;
  part("again").addEventListener("click", () => location.reload());
  // A camera outside has opened the code's own address, or the page to scan has sent it on into nothing.
  const sent = new URLSearchParams(location.search).get("code");
  if (location.pathname.toUpperCase().startsWith("/K/")) take(location.href);
  else if (location.pathname === "/scan" && sent) take(sent);
}

void begin();
