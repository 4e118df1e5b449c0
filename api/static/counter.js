// A scanner types very fast and presses Enter. Whatever is typed anywhere on the page is the next code.
const field = document.querySelector("[data-scan]");
const button = document.querySelector("[data-hand-over]");
const gapMilliseconds = 1_500;
let typed = "";
let typedAt = 0;

// Enter hands over what is shown, unless a code was typed just before: then it belongs to that code, and what is shown
// stays as it is. A second customer's code must never hand over the first one's reward.
button?.focus();
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (field) {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea, button, a");
    if (!typing && event.key.length === 1) field.focus();
  } else if (button) {
    if (event.timeStamp - typedAt > gapMilliseconds) typed = "";
    if (event.key.length === 1 && (event.key !== " " || typed)) {
      typed += event.key;
      typedAt = event.timeStamp;
      event.preventDefault();
    } else if (event.key === "Enter" && typed) {
      event.preventDefault();
      const station = button.form.elements.station.value;
      location.assign(`/counter?${new URLSearchParams({ station, code: typed })}`);
    }
  }
});
