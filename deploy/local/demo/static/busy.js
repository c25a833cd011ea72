// A busy button. It is announced to screen readers, and keeps the focus, which a disabled button
// would lose.

const status = document.querySelector("#status");
const labels = new Map();

export function setBusy(button, announcement) {
  labels.set(button, button.textContent);
  button.setAttribute("aria-busy", "true");
  button.textContent = "Opening…";
  status.textContent = announcement;
}

export function setIdle(button) {
  button.removeAttribute("aria-busy");
  button.textContent = labels.get(button) ?? button.textContent;
  labels.delete(button);
  status.textContent = "";
}

export function isBusy(button) {
  return labels.has(button);
}

// After the Back button, browsers may restore the page with a busy button.
addEventListener("pageshow", () => [...labels.keys()].forEach(setIdle));
