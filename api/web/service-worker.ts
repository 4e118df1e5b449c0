// Opens one plain page when there is no network. It keeps that page and its files, which are the same for everybody; no
// answer of the bank to a member is ever kept.

// What a worker has and a page has not; the compiler knows pages.
interface Passing extends Event {
  waitUntil(done: Promise<unknown>): void;
}
interface Asking extends Passing {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Telling extends Passing {
  readonly data: unknown;
  readonly source: { postMessage(words: string): void } | null;
}
interface Worker {
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  addEventListener(name: "install" | "activate", take: (event: Passing) => void): void;
  addEventListener(name: "fetch", take: (event: Asking) => void): void;
  addEventListener(name: "message", take: (event: Telling) => void): void;
}

const worker = self as unknown as Worker;
// Another language, another size of text or another build is another address of this script, and so another cache.
const parameters = new URL(location.href).searchParams;
const read = `language=${parameters.get("language")}&size=${parameters.get("size")}`;
const cacheName = `timebank-${parameters.get("version")}-${read}`;
const shell = `/offline?${read}`;
// The kiosk's page, the same for everybody, on tablets that have opened it; it outlives builds until it is opened anew.
const kiosk = "/kiosk";
const kioskCacheName = "kiosk";
const patienceMilliseconds = 8_000;

async function install(): Promise<void> {
  const cache = await caches.open(cacheName);
  const answer = await fetch(shell, { cache: "reload", credentials: "omit" });
  if (!answer.ok) throw new Error(String(answer.status));
  const page = await answer.clone().text();
  const files = [...page.matchAll(/"(\/static\/[^"]+)"/g)].map((found) => found[1] ?? "");
  await cache.addAll([...new Set(files)]);
  await cache.put(shell, answer);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("timebank-") && name !== cacheName).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** Keeps the kiosk's page with the files that it says it is made of, in place of those of before. */
async function keepKiosk(addresses: string[]): Promise<void> {
  const cache = await caches.open(kioskCacheName);
  const ours = addresses
    .map((each) => new URL(each, location.href))
    .filter(({ origin, pathname }) => origin === location.origin && (pathname === kiosk || pathname.startsWith("/static/")))
    .map(({ href }) => href);
  // Without a network this fails, and leaves everything as it was.
  await Promise.all(ours.map(async (href) => {
    const known = !href.endsWith(kiosk) && (await cache.match(href));
    if (!known) await cache.add(href);
  }));
  for (const { url } of await cache.keys()) if (!ours.includes(url)) await cache.delete(url);
}

/** The page from the bank; the one for lonely places when the bank does not answer, or the kiosk's own. */
async function open(request: Request): Promise<Response> {
  const silence = new Promise<never>((_, give) => setTimeout(() => give(new Error("silence")), patienceMilliseconds));
  try {
    return await Promise.race([fetch(request), silence]);
  } catch {
    return (await caches.match(request)) ?? (await caches.match(shell)) ?? Response.error();
  }
}

/** A file of ours: its address changes with it, so one that is kept is right for ever. */
async function file(request: Request): Promise<Response> {
  const kept = await caches.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  // What reads codes is large, and kept from the first time that a camera was opened.
  if (answer.ok && /decoder-|\.wasm$/.test(new URL(request.url).pathname)) {
    const cache = await caches.open(cacheName);
    await cache.put(request, answer.clone());
  }
  return answer;
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", (event) => {
  const { data, source } = event;
  if (Array.isArray(data)) event.waitUntil(keepKiosk(data.map(String)).then(() => source?.postMessage("kept")));
});
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(open(request));
  else if (new URL(request.url).pathname.startsWith("/static/")) event.respondWith(file(request));
});
