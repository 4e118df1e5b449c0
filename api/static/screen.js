// The station's screen: the clock runs on the bank's time, and the picture changes when its slot ends. The bank hands
// out the next five minutes of codes at a time, so a short loss of the network changes nothing.
// Without this script the page reloads itself every ten seconds instead.
const stage = document.querySelector("[data-screen]");
const picture = stage.querySelector("svg.qr");
const dark = stage.querySelector("[data-dark]");
const digits = stage.querySelector("[data-digits]");
const clock = stage.querySelector("[data-clock]");
const progress = stage.querySelector("[data-progress]");
const people = stage.querySelector("[data-people]");
const day = stage.querySelector("[data-day]");
const notice = stage.querySelector("[data-notice]");
const noticeWords = notice.querySelector("[data-words]");
const full = stage.querySelector("[data-full]");
const slotMilliseconds = 20_000;

// How far the bank's clock is ahead of this machine's. Monotonic time: nobody's clock setting moves it.
let ahead = Number(clock.dataset.now) - performance.now();
let shown = Number(stage.dataset.slot);
let codes = new Map();
let asking = false;
let lost = false;

const hours = new Intl.DateTimeFormat(document.documentElement.lang, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: clock.dataset.zone,
});

function tick() {
  const now = performance.now() + ahead;
  const slot = Math.floor(now / slotMilliseconds);
  const words = hours.format(now);
  if (clock.textContent !== words) clock.textContent = words;
  progress.value = (now % slotMilliseconds) / 1000;
  if (slot !== shown && codes.has(slot)) show(slot);
  const stale = slot !== shown;
  picture.classList.toggle("stale", stale && lost);
  notice.hidden = !lost;
  const said = lost ? (stale ? stage.dataset.stale : stage.dataset.lost) : "";
  // Written only when it changes, or it would be read out four times a second.
  if (noticeWords.textContent !== said) noticeWords.textContent = said;
}

function show(slot) {
  const code = codes.get(slot);
  picture.setAttribute("viewBox", `0 0 ${code.side} ${code.side}`);
  dark.setAttribute("d", code.path);
  digits.textContent = code.digits;
  shown = slot;
  stage.dataset.slot = slot;
}

async function ask() {
  if (asking) return;
  asking = true;
  try {
    const sent = performance.now();
    const answer = await fetch(stage.dataset.screen, { cache: "no-store", signal: AbortSignal.timeout(8_000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = await answer.json();
    ahead = next.now - (sent + performance.now()) / 2;
    codes = new Map(next.slots.map((code) => [code.slot, code]));
    if (people.textContent !== next.people) people.textContent = next.people;
    if (day.textContent !== next.day) day.textContent = next.day;
    lost = false;
  } catch {
    lost = true;
  } finally {
    asking = false;
    tick();
  }
}

setInterval(tick, 250);
setInterval(ask, 5_000);
ask();

// The whole of the tablet for the code: nothing beside it can be tapped.
full.hidden = !document.fullscreenEnabled;
if (document.fullscreenEnabled) {
  full.addEventListener("click", () =>
    document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen().catch(() => {}));
  document.addEventListener("fullscreenchange", () => {
    const words = document.fullscreenElement ? full.dataset.leave : full.dataset.enter;
    full.querySelector("span").textContent = words;
  });
}

// A screen that nobody touches should not go dark.
async function stayAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // The device decides; the code is shown all the same.
  }
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) { stayAwake(); ask(); } });
stayAwake();
