// A form is sent once: a second tap while the first is under way would only be answered with the same result.
// Nothing here is needed; every form works without it.
export {};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") {
    form.dataset.sent = "yes";
    // Only what takes long enough to be seen turns.
    setTimeout(() => form.dataset.sent && event.submitter?.setAttribute("aria-busy", "true"), 300);
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  }
});

// Coming back with the browser's Back button shows a kept page: its forms may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) {
      button.removeAttribute("aria-disabled");
      button.removeAttribute("aria-busy");
    }
  }
});

for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-print]")) {
  button.addEventListener("click", () => print());
}

for (const box of document.querySelectorAll<HTMLInputElement>("input[data-reveal]")) {
  const field = document.querySelector<HTMLInputElement>(`#${box.dataset.reveal}`);
  box.addEventListener("change", () => {
    if (field) field.type = box.checked ? "text" : "password";
  });
}

for (const field of document.querySelectorAll<HTMLSelectElement>("select[data-submit]")) {
  field.addEventListener("change", () => field.form?.requestSubmit());
}
