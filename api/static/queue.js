// The button says how many records it verifies, and how much time, while ticks come and go.
const form = document.querySelector("form[data-bulk]");
if (form) {
  const boxes = [...form.querySelectorAll("input[name=record]")];
  const all = form.querySelector("[data-all]");
  const button = form.querySelector("[data-verify]");
  const words = button.querySelector("[data-words]");
  // The same English as the pages' own: "2 hrs".
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const unit = (value, name) =>
    new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);

  const duration = (minutes) => {
    const hours = Math.floor(minutes / 60);
    const parts = hours ? [unit(hours, "hour")] : [];
    if (minutes % 60 || !hours) parts.push(unit(minutes % 60, "minute"));
    return parts.join(language === "en-GB" ? " " : "");
  };

  const count = () => {
    const ticked = boxes.filter((box) => box.checked);
    const minutes = ticked.reduce((sum, box) => sum + Number(box.dataset.minutes), 0);
    const pattern = ticked.length === 1 ? button.dataset.one : button.dataset.many;
    words.textContent = ticked.length
      ? pattern.replace("{count}", ticked.length).replace("{duration}", duration(minutes))
      : button.dataset.none;
    button.disabled = !ticked.length;
    if (all) {
      all.checked = ticked.length === boxes.length;
      all.indeterminate = ticked.length > 0 && !all.checked;
    }
  };

  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes) box.checked = all.checked;
    count();
  });
  // A page that comes back may have kept ticks of its own.
  addEventListener("pageshow", count);
}
