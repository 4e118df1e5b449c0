// The station's screen: the clock runs on the bank's time, and the picture changes when its slot ends.
// Without this script the page reloads itself every ten seconds instead.
const stage = document.querySelector("[data-screen]");
const picture = stage.querySelector("img[data-code]");
const clock = stage.querySelector("[data-clock]");
const progress = stage.querySelector("[data-progress]");
const people = stage.querySelector("[data-people]");
const notice = stage.querySelector("[data-notice]");
const slotMilliseconds = 20_000;

// How far the bank's clock is ahead of this machine's. Monotonic time: nobody's clock setting moves it.
let ahead = Number(clock.dataset.now) - performance.now();
let slot = Number(stage.dataset.slot);
let asking = false;
let lostSince = 0;

const hours = new Intl.DateTimeFormat(document.documentElement.lang, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: clock.dataset.zone,
});

function tick() {
  const now = performance.now() + ahead;
  const words = hours.format(now);
  if (clock.textContent !== words) clock.textContent = words;
  progress.value = (now % slotMilliseconds) / 1000;
  if (Math.floor(now / slotMilliseconds) !== slot && !asking) ask();
}

async function ask() {
  asking = true;
  try {
    const sent = performance.now();
    const answer = await fetch(stage.dataset.screen, { cache: "no-store", signal: AbortSignal.timeout(8_000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const present = await answer.json();
    const next = new Image();
    next.src = `${stage.dataset.picture}?slot=${present.slot}`;
    await next.decode();
    picture.src = next.src;
    ahead = present.now - (sent + performance.now()) / 2;
    slot = present.slot;
    people.textContent = present.people;
    lostSince = 0;
  } catch {
    lostSince ||= performance.now();
    await new Promise((wake) => setTimeout(wake, 2_000));
  } finally {
    asking = false;
    const lost = lostSince > 0;
    notice.hidden = !lost;
    notice.textContent = lost ? stage.dataset.lost : "";
  }
}

setInterval(tick, 250);
setInterval(() => { if (!asking) ask(); }, 5_000);

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
