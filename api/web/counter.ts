// Keeps a counter fast: the cursor stays in the one field, answers replace the page without a reload, so that nothing
// that is typed meanwhile is lost. Without this script the pages do the same, one load at a time.
import { signal } from "./feedback";
import { need } from "./page";

const main = (): HTMLElement => need("main");
const page = (): HTMLElement | null => document.querySelector<HTMLElement>("[data-counter-page]");
const field = (): HTMLInputElement | null => document.querySelector<HTMLInputElement>("[data-scan]");
const fine = matchMedia("(pointer: fine)");

let underWay = false;
// What was scanned while an answer was under way; looked up next.
let queued = "";

// Nothing that takes keys has them: a click beside everything gives the focus to the page itself.
const idle = (): boolean => page() !== null && (document.activeElement ?? document.body).matches("body, main");

function ready(): void {
  field()?.focus({ preventScroll: true });
}

// `scanned` is what is looked up: without an answer it stands in the field again.
async function visit(address: string, options?: RequestInit, scanned = ""): Promise<void> {
  underWay = true;
  main().setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, options);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
      location.assign(answer.url);
      return;
    }
    const typed = field()?.value ?? "";
    main().replaceWith(document.adoptNode(need("main", found)));
    if (answer.ok) history.replaceState(null, "", answer.url);
    const next = field();
    if (next) next.value = typed;
    document.dispatchEvent(new Event("replaced"));
    const result = page()?.querySelector<HTMLElement>("[data-counter]")?.dataset.counter;
    if (result) signal(result !== "stop");
  } catch {
    lost(scanned);
  } finally {
    underWay = false;
    main().removeAttribute("aria-busy");
  }
  ready();
  const next = field();
  if (queued && next) {
    next.value = queued;
    queued = "";
    next.form?.requestSubmit();
  }
}

// The same form, with the same id, goes out again at the next Enter.
function lost(code: string): void {
  const here = page();
  if (!here) return;
  const notice = here.querySelector<HTMLElement>("[data-lost]");
  if (notice) notice.hidden = false;
  const scan = field();
  if (code && scan && !scan.value && !queued) scan.value = code;
  for (const form of here.querySelectorAll("form")) delete form.dataset.sent;
  for (const button of here.querySelectorAll("button")) button.removeAttribute("aria-disabled");
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !page()?.contains(form)) return;
  event.preventDefault();
  const scan = field();
  const scanned = scan?.form === form ? scan.value.trim() : "";
  if (underWay) {
    // A second Enter while nothing was scanned is a slip, or a scanner that sends two.
    if (scan && scanned) {
      queued = scanned;
      scan.value = "";
    }
    return;
  }
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form)) values.append(name, String(value));
  if (scan && scanned) scan.value = "";
  if (form.method === "post") void visit(form.action, { method: "POST", body: values }, values.has("id") ? "" : scanned);
  else void visit(`${form.action}?${values}`);
});

function leave(scan: HTMLInputElement): void {
  queued = "";
  const here = page();
  if (scan.value) scan.value = "";
  else if (!underWay && here?.querySelector("[data-counter]")) {
    void visit(new URL(here.dataset.clear ?? "", location.href).href);
  }
  ready();
}

document.addEventListener("keydown", (event) => {
  const scan = field();
  const at = event.target;
  if (!scan || !(at instanceof Element) || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") {
    leave(scan);
  } else if (event.key === "Enter") {
    if (!at.closest("input, select, textarea, button, a, summary")) {
      event.preventDefault();
      if (!scan.required || scan.value) scan.form?.requestSubmit();
    }
  } else if (event.key.length === 1 && event.key !== " " && !at.matches("input, select, textarea")) {
    scan.focus();
  }
});

// Chosen with a click, a place would otherwise be changed by the next scan.
document.addEventListener("change", (event) => {
  if (event.target instanceof Element && event.target.matches("[data-counter-page] select")) ready();
});

// Where there is a mouse, a click beside everything leaves the cursor in the field; on a phone it would open the keys.
document.addEventListener("focusout", () => {
  if (fine.matches) setTimeout(() => { if (idle()) ready(); });
});
addEventListener("focus", () => { if (idle()) ready(); });
ready();
