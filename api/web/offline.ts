// The page that opens when there is no network: it takes the code of a station's screen and keeps it. Whoever was signed
// in last is whose scan it is; the bank compares that when it arrives.
import { readCode } from "./codes";
import { signal } from "./feedback";
import { uuid7 } from "./ids";
import { need } from "./page";
import { keep, lastOwner } from "./store";

const shell = need("[data-offline]");
const form = need<HTMLFormElement>("form", shell);
const field = need<HTMLInputElement>("[data-scan]", form);
const hosts = [...(shell.dataset.hosts ?? "").split(" "), location.hostname];

let scanned: { code: string; at: Date } | null = null;

function part(name: string): HTMLElement {
  return need(`[data-part=${name}]`, shell);
}

/** Takes what was scanned, when it is a station's code; anything else is told in words. */
function take(text: string): void {
  const reading = readCode(text, hosts);
  const good = "kind" in reading && reading.kind === "station";
  scanned = good ? { code: reading.code, at: new Date() } : null;
  signal(good);
  part("wrong").hidden = good;
  part("choice").hidden = !good;
  part("kept").hidden = true;
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

async function begin(): Promise<void> {
  const memberId = await lastOwner().catch(() => "");
  part("nobody").hidden = memberId !== "";
  part("taking").hidden = memberId === "";
  if (!memberId) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(field.value);
  });
  for (const kind of ["in", "out"] as const) part(kind).addEventListener("click", () => void keepAs(kind, memberId));
  // A camera outside has opened the code's own address.
  if (location.pathname.toUpperCase().startsWith("/K/")) take(location.href);
}

part("again").addEventListener("click", () => location.reload());
void begin();
