// The station's screen: the clock runs on the bank's time, and the picture changes when its slot ends. The bank hands
// out the next five minutes of codes at a time, so a short loss of the network changes nothing.
// Without this script the page reloads itself every ten seconds instead.
import { fetchWithin, need } from "./page";

interface Code {
  slot: number;
  side: number;
  path: string;
  digits: string;
}

interface Answer {
  now: number;
  slots: Code[];
  people: string;
  day: string;
}

const stage = need("[data-screen]");
const picture = need<SVGElement>("svg.qr", stage);
const dark = need<SVGPathElement>("[data-dark]", stage);
const digits = need("[data-digits]", stage);
const clock = need("[data-clock]", stage);
const progress = need<HTMLProgressElement>("[data-progress]", stage);
const people = need("[data-people]", stage);
const day = need("[data-day]", stage);
const notice = need("[data-notice]", stage);
const noticeWords = need("[data-words]", notice);
const full = need<HTMLButtonElement>("[data-full]", stage);
const slotMilliseconds = 20_000;
const patienceMilliseconds = 8_000;

// How far the bank's clock is ahead of this machine's. Monotonic time: nobody's clock setting moves it.
let ahead = Number(clock.dataset.now) - performance.now();
let shown = Number(stage.dataset.slot);
let codes = new Map<number, Code>();
let asking = false;
let lost = false;

const hours = new Intl.DateTimeFormat(document.documentElement.lang, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  timeZone: clock.dataset.zone,
});

/** Written only when it changes, or it would be read out four times a second. */
function say(element: Element, words: string): void {
  if (element.textContent !== words) element.textContent = words;
}

function tick(): void {
  const now = performance.now() + ahead;
  const slot = Math.floor(now / slotMilliseconds);
  say(clock, hours.format(now));
  progress.value = (now % slotMilliseconds) / 1000;
  const next = codes.get(slot);
  if (slot !== shown && next) show(next);
  const stale = slot !== shown;
  picture.classList.toggle("stale", stale && lost);
  notice.hidden = !lost;
  say(noticeWords, (lost ? (stale ? stage.dataset.stale : stage.dataset.lost) : "") ?? "");
}

function show(code: Code): void {
  picture.setAttribute("viewBox", `0 0 ${code.side} ${code.side}`);
  dark.setAttribute("d", code.path);
  digits.textContent = code.digits;
  shown = code.slot;
  stage.dataset.slot = String(code.slot);
}

async function ask(): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    const sent = performance.now();
    const answer = await fetchWithin(patienceMilliseconds, stage.dataset.screen ?? "", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = (await answer.json()) as Answer;
    ahead = next.now - (sent + performance.now()) / 2;
    codes = new Map(next.slots.map((code) => [code.slot, code]));
    say(people, next.people);
    say(day, next.day);
    lost = false;
  } catch {
    lost = true;
  } finally {
    asking = false;
    tick();
  }
}

setInterval(tick, 250);
setInterval(() => void ask(), 5_000);
void ask();

// The whole of the tablet for the code: nothing beside it can be tapped.
full.hidden = !document.fullscreenEnabled;
if (document.fullscreenEnabled) {
  full.addEventListener("click", () => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else stage.requestFullscreen().catch(() => undefined);
  });
  document.addEventListener("fullscreenchange", () => {
    need("span", full).textContent = (document.fullscreenElement ? full.dataset.leave : full.dataset.enter) ?? "";
  });
}

// A screen that nobody touches should not go dark.
async function stayAwake(): Promise<void> {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // The device decides; the code is shown all the same.
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  void stayAwake();
  void ask();
});
void stayAwake();
