// The message that a user sees when something fails, with a button where one helps.

import { focusSignIn } from "./account.js";

// The service cannot know how users of this page sign in, so the page has its own message for that.
const OWN_MESSAGES = {
  unauthenticated: "You are signed out. Sign in, then try again.",
};
// Problems that may go away; for others a retry would not help.
const TEMPORARY = new Set([
  "network",
  "rate-limited",
  "overloaded",
  "request-timeout",
  "apideck-rate-limited",
  "apideck-unavailable",
  "apideck-timeout",
  "apideck-invalid-response",
  "identity-provider-unavailable",
  "shutting-down",
  "internal-error",
]);
const container = document.querySelector("#notice");

/** Shows a VaultSessionError, with a button that may solve the problem. */
export function showNotice(error, tryAgain) {
  const box = element("div", "notice");
  box.append(element("p", "", OWN_MESSAGES[error.type] ?? error.detail));
  if (error.requestId) box.append(element("p", "dim", `Reference for support: ${error.requestId}`));
  if (error.type === "unauthenticated") box.append(button("Sign in", focusSignIn));
  else if (TEMPORARY.has(error.type)) box.append(button("Try again", tryAgain));
  container.replaceChildren(box);
}

export function clearNotice() {
  container.replaceChildren();
}

function button(label, onClick) {
  const button = element("button", "", label);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

function element(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
