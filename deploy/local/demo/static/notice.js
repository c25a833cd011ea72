// What a person reads when something does not work: a sentence, what they can do, a reference.

import { focusSignIn } from "./account.js";

// The service speaks to whoever called it; what is the page's own affair, the page says itself.
const OWN_WORDS = {
  unauthenticated: "You are signed out. Sign in, then try again.",
};
// What time may mend. Of the rest, trying again would only annoy.
const PASSING = new Set([
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
const place = document.querySelector("#notice");

/** Shows a VaultSessionError, with a button that mends it where there is one. */
export function showNotice(error, tryAgain) {
  const box = element("div", "notice");
  box.append(element("p", "", OWN_WORDS[error.type] ?? error.detail));
  if (error.requestId) box.append(element("p", "dim", `Reference for support: ${error.requestId}`));
  if (error.type === "unauthenticated") box.append(button("Sign in", focusSignIn));
  else if (PASSING.has(error.type)) box.append(button("Try again", tryAgain));
  place.replaceChildren(box);
}

export function clearNotice() {
  place.replaceChildren();
}

function button(label, onClick) {
  const made = element("button", "", label);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
