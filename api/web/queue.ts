// The button says how many records it verifies, and how much time, while ticks come and go.
import { language, need } from "./page";

const unit = (value: number, name: string): string =>
  new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);

function duration(minutes: number): string {
  const hours = Math.floor(minutes / 60);
  const parts = hours ? [unit(hours, "hour")] : [];
  if (minutes % 60 || !hours) parts.push(unit(minutes % 60, "minute"));
  return parts.join(language === "en-GB" ? " " : "");
}

function follow(form: HTMLFormElement): void {
  const boxes = [...form.querySelectorAll<HTMLInputElement>("input[name=record]")];
  const all = form.querySelector<HTMLInputElement>("[data-all]");
  const button = need<HTMLButtonElement>("[data-verify]", form);
  const words = need("[data-words]", button);

  const count = (): void => {
    const ticked = boxes.filter((box) => box.checked);
    const minutes = ticked.reduce((sum, box) => sum + Number(box.dataset.minutes), 0);
    const pattern = (ticked.length === 1 ? button.dataset.one : button.dataset.many) ?? "";
    const none = button.dataset.none ?? "";
    const said = pattern.replace("{count}", String(ticked.length)).replace("{duration}", duration(minutes));
    words.textContent = ticked.length ? said : none;
    button.disabled = !ticked.length;
    if (all) {
      all.checked = ticked.length === boxes.length;
      all.indeterminate = ticked.length > 0 && !all.checked;
    }
  };

  form.addEventListener("change", (event) => {
    if (all && event.target === all) for (const box of boxes) box.checked = all.checked;
    count();
  });
  // A page that comes back may have kept ticks of its own.
  addEventListener("pageshow", count);
}

const form = document.querySelector<HTMLFormElement>("form[data-bulk]");
if (form) follow(form);
