// A button while it works: it says so, and keeps the focus that a disabled button would lose.

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

// With the browser's Back button the page may come back as it was left: busy.
addEventListener("pageshow", () => [...labels.keys()].forEach(setIdle));
