// Keeps a counter fast: the cursor stays in the one field, answers replace the page without a reload, so that nothing
// that is typed meanwhile is lost. Without this script the pages do the same, one load at a time.
const main = () => document.querySelector("main");
const page = () => document.querySelector("[data-counter-page]");
const field = () => document.querySelector("[data-scan]");
const fine = matchMedia("(pointer: fine)");

let underWay = false;
// What was scanned while an answer was under way; looked up next.
let queued = "";

// Nothing that takes keys has them: a click beside everything gives the focus to the page itself.
const idle = () => page() && (document.activeElement ?? document.body).matches("body, main");

function ready() {
  field()?.focus({ preventScroll: true });
}

async function visit(address, options) {
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
    main().replaceWith(document.adoptNode(found.querySelector("main")));
    if (answer.ok) history.replaceState(null, "", answer.url);
    if (field()) field().value = typed;
  } catch {
    lost(options ? "" : new URL(address).searchParams.get("code"));
  } finally {
    underWay = false;
    main().removeAttribute("aria-busy");
  }
  ready();
  if (queued && field()) {
    field().value = queued;
    queued = "";
    field().form.requestSubmit();
  }
}

// The same form, with the same id, goes out again at the next Enter.
function lost(code) {
  page().querySelector("[data-lost]").hidden = false;
  if (code && !field().value && !queued) field().value = code;
  for (const form of page().querySelectorAll("form")) delete form.dataset.sent;
  for (const button of page().querySelectorAll("button")) button.removeAttribute("aria-disabled");
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!page()?.contains(form)) return;
  event.preventDefault();
  const scanned = field()?.form === form ? field().value.trim() : "";
  if (underWay) {
    // A second Enter while nothing was scanned is a slip, or a scanner that sends two.
    if (scanned) {
      queued = scanned;
      field().value = "";
    }
    return;
  }
  const values = new URLSearchParams(new FormData(form));
  if (scanned) field().value = "";
  if (form.method === "post") visit(form.action, { method: "POST", body: values });
  else visit(`${form.action}?${values}`);
});

document.addEventListener("keydown", (event) => {
  if (!field() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const at = event.target;
  if (event.key === "Escape") {
    queued = "";
    if (field().value) field().value = "";
    else if (!underWay && page().querySelector("[data-counter]")) visit(new URL(page().dataset.clear, location.href).href);
    ready();
  } else if (event.key === "Enter") {
    if (!at.closest("input, select, textarea, button, a, summary")) {
      event.preventDefault();
      if (field().form.method === "post" || field().value) field().form.requestSubmit();
    }
  } else if (event.key.length === 1 && event.key !== " " && !at.matches("input, select, textarea")) {
    field().focus();
  }
});

// Chosen with a click, a place would otherwise be changed by the next scan.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-counter-page] select")) ready();
});

// Where there is a mouse, a click beside everything leaves the cursor in the field; on a phone it would open the keys.
document.addEventListener("focusout", () => {
  if (fine.matches) setTimeout(() => { if (idle()) ready(); });
});
addEventListener("focus", () => { if (idle()) ready(); });
ready();
