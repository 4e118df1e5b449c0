// Keeps the field ready for a scanner that types: whatever is typed anywhere on the page lands in it.
const field = document.querySelector("[data-scan]");
if (field) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea, button, a");
    if (!typing && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) field.focus();
  });
}
