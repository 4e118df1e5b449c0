// A station's kiosk: its code and digits, made here from the keys of a day; who is in; today's shifts; cards. It goes on
// without a network, and everything that is scanned meanwhile waits here and is sent by itself, once and in order.
import { BankClock, Refused, ask, listen } from "./kiosk_bank";
import { draw, hourOf, slotAt, slotMilliseconds, stationCode, stationDigits } from "./kiosk_codes";
import { sendAll, showLeft, watchCards } from "./kiosk_cards";
import { dropHoursBefore, forget, keepHours, kept, type Board, type Self } from "./kiosk_store";
import { need } from "./page";

const stage = need("[data-kiosk]");
const picture = need<SVGElement>("svg.qr", stage);
const dark = need<SVGPathElement>("[data-dark]", stage);
const digits = need("[data-digits]", stage);
const clockFace = need("[data-clock]", stage);
const day = need("[data-day]", stage);
const progress = need<HTMLProgressElement>("[data-progress]", stage);
const notice = need("[data-notice]", stage);
const noticeWords = need("[data-words]", notice);
const full = need<HTMLButtonElement>("[data-full]", stage);
const minute = 60_000;
const boardEvery = { heard: minute, unheard: 10_000 };
const peopleShown = 12;

const language = document.documentElement.lang;
// As the bank's own pages write it.
const locale = language === "en" ? "en-GB" : language;
const zone = stage.dataset.zone;
const time = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });
const dayAndTime = new Intl.DateTimeFormat(locale, {
  weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone,
});
const date = new Intl.DateTimeFormat(locale, { weekday: "long", month: "long", day: "numeric", timeZone: zone });

const clock = new BankClock();
let self: Self;
let board: Board | undefined;
let shown = -1;
let lost = false;
let heard = false;
let asking = false;
let askedAt = -Infinity;
let hours: number[] = [];

/** Written only when it changes, or it would be read out four times a second. */
function say(element: Element, words: string): void {
  if (element.textContent !== words) element.textContent = words;
}

const fill = (words: string | undefined, ...values: string[]): string =>
  values.reduce((filled, value) => filled.replace("{}", value), words ?? "");

function open(name: string): void {
  for (const each of stage.querySelectorAll<HTMLElement>("[data-view]")) each.hidden = each.dataset.view !== name;
}

const isOpen = (name: string): boolean => !need(`[data-view=${name}]`, stage).hidden;

/** The codes of each slot, from the key of its hour. */
async function showCode(slot: number): Promise<void> {
  shown = slot;
  const key = await (await kept()).get("keys", hourOf(slot));
  if (shown !== slot) return;
  picture.classList.toggle("stale", !key || !board);
  stage.dataset.slot = key && board ? String(slot) : "";
  if (!key || !board) {
    say(digits, "––– –––");
    return;
  }
  const code = await stationCode(key, self.station, self.number, slot);
  const six = await stationDigits(key, self.station, self.number, slot);
  const { side, path } = draw(`${board.address}/K/${code}`.toUpperCase());
  picture.setAttribute("viewBox", `0 0 ${side} ${side}`);
  dark.setAttribute("d", path);
  say(digits, `${six.slice(0, 3)} ${six.slice(3)}`);
}

function showBoard(): void {
  if (!board) return;
  say(need("[data-station]", stage), language === "en" ? board.name_en : board.name_zh);
  say(need("[data-number]", stage), fill(stage.dataset.sayNumber, String(board.station_number)));
  need("[data-closed]", stage).hidden = board.state === "open";
  const { people, shifts } = board;
  say(need("[data-count]", stage), fill(stage.dataset[people.length === 1 ? "sayOne" : "sayPeople"], String(people.length)));
  const rows = people.slice(-peopleShown).map(({ name, started_at }) => `${name} ${time.format(Date.parse(started_at))}`);
  const more = people.length - rows.length;
  list(need("[data-people]", stage), more > 0 ? [fill(stage.dataset.sayMore, String(more)), ...rows] : rows);
  const planned = shifts.map(({ starts_at, ends_at, people: came, capacity }) => {
    const wanted = capacity === null ? String(came) : `${came}/${capacity}`;
    return fill(stage.dataset.sayShift, `${time.format(Date.parse(starts_at))}–${time.format(Date.parse(ends_at))}`, wanted);
  });
  list(need("[data-shifts]", stage), planned.length ? planned : [stage.dataset.sayNoshift ?? ""]);
}

function list(element: Element, rows: string[]): void {
  if ([...element.children].map((row) => row.textContent).join("\n") === rows.join("\n")) return;
  element.replaceChildren(
    ...rows.map((words) => {
      const row = document.createElement("li");
      row.textContent = words;
      return row;
    }),
  );
}

function tick(): void {
  const now = clock.now();
  const slot = slotAt(now);
  say(clockFace, time.format(now));
  say(day, date.format(now));
  progress.value = (now % slotMilliseconds) / 1000;
  if (slot !== shown) void showCode(slot);
  if (clock.hasSlipped) clock.doubtful = true;
  const hour = hourOf(slot);
  const last = Math.max(...hours);
  const words = !hours.includes(hour) && lost
    ? stage.dataset.saySpent
    : clock.doubtful && lost
      ? stage.dataset.sayDoubt
      : lost
        ? fill(stage.dataset.sayLost, dayAndTime.format((last + 1) * 60 * minute))
        : "";
  notice.hidden = !words;
  say(noticeWords, words ?? "");
  stage.classList.toggle("offline", lost);
  const due = now - askedAt > (heard && !lost ? boardEvery.heard : boardEvery.unheard);
  if (due || (clock.doubtful && now - askedAt > 2_000)) void refresh();
}

/** Asks for what is shown, and for keys where some are spent; sends the cards that wait. */
async function refresh(): Promise<void> {
  if (asking) return;
  asking = true;
  askedAt = clock.now();
  try {
    const sent = performance.now();
    const told = (await ask(self, clock, "/api/v1/kiosk")) as Board;
    // The address stands in the code.
    if (told.address !== board?.address) shown = -1;
    board = told;
    await clock.set(Date.parse(board.now), sent, performance.now());
    askedAt = clock.now();
    await (await kept()).put("facts", board, "board");
    await renew();
    lost = false;
    if (isOpen("unknown")) open("running");
    await sendAll(self, clock);
  } catch (error) {
    if (error instanceof Refused) await refused(error);
    else lost = true;
  } finally {
    asking = false;
  }
  showBoard();
  tick();
}

/** Keys for the next 24 hours, whenever an hour has been spent; those of spent hours are deleted. */
async function renew(): Promise<void> {
  const hour = hourOf(slotAt(clock.now()));
  if (!hours.includes(hour) || !hours.includes(hour + 23)) {
    const { keys } = (await ask(self, clock, "/api/v1/kiosk/keys")) as { keys: { hour: number; key: string }[] };
    await keepHours(keys);
  }
  await count();
}

/** What hours there are keys for. One minute after its end an hour is spent. */
async function count(): Promise<void> {
  await dropHoursBefore(hourOf(slotAt(clock.now() - minute)));
  const before = hours;
  hours = await (await kept()).getAllKeys("keys");
  if (before.join() !== hours.join()) shown = -1;
}

/** The bank has ended this kiosk, and nothing of it is kept; or it does not know it. */
async function refused(error: Refused): Promise<void> {
  if (error.code === "device_revoked") {
    await forget();
    open("revoked");
    await showLeft();
    ended.abort();
  } else {
    // Its keys are kept: an older copy of the bank may have been put back, and the newer one come again.
    open("unknown");
  }
}

const ended = new AbortController();

/** Hears of who comes and goes at once, as long as there is a line; asks now and then where there is none. */
async function keepListening(): Promise<void> {
  const changed = (): void => {
    heard = true;
    void refresh();
  };
  while (!ended.signal.aborted) {
    let pause = 1_000;
    try {
      await listen(self, clock, "/api/v1/kiosk/events", changed, ended.signal);
    } catch {
      pause = 5_000;
    }
    heard = false;
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function begin(): Promise<void> {
  const store = await kept();
  const known = await store.get("self", "self");
  if (!known) {
    open("none");
    await showLeft();
    return;
  }
  self = known;
  await clock.recall();
  const before = await store.get("facts", "board");
  if (before && "address" in before) board = before;
  await count();
  showBoard();
  // Nothing is moved about afterwards: the first time, what the bank says is waited for.
  if (!board) await refresh();
  await showCode(slotAt(clock.now()));
  if (ended.signal.aborted) return;
  if (!isOpen("unknown")) open("running");
  watchCards(self, clock, () => void refresh());
  const timers = [setInterval(tick, 250), setInterval(() => void clock.remember(), minute), setInterval(() => void count(), minute)];
  ended.signal.addEventListener("abort", () => timers.forEach(clearInterval));
  for (const name of ["online", "offline", "pageshow"]) addEventListener(name, () => void refresh());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    void stayAwake();
    void refresh();
  });
  await refresh();
  void keepListening();
  void stayAwake();
}

// A screen that nobody touches should not go dark.
async function stayAwake(): Promise<void> {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // The device decides; the code is shown all the same.
  }
}

// The whole of the tablet: nothing beside it can be tapped.
full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => undefined);
});

// The page opens without a network from here on, where the browser allows it: the worker is told what it is made of.
async function openOffline(): Promise<void> {
  navigator.serviceWorker.addEventListener("message", () => { stage.dataset.kept = "yes"; });
  await navigator.serviceWorker.register(stage.dataset.worker ?? "");
  const parts = performance.getEntriesByType("resource").map((part) => part.name);
  (await navigator.serviceWorker.ready).active?.postMessage([location.pathname, ...parts]);
}

if ("serviceWorker" in navigator) openOffline().catch(() => undefined);
void begin();
