// The message about a failure, beside the failed action, with a button if the user can solve it.

import { focusSignIn } from "./account.js";
import { button, element, symbol } from "./markup.js";

// The service cannot know how users of this page sign in, so the page has its own message for that.
const OWN_MESSAGES = {
  unauthenticated: "You are signed out. Sign in, then try again.",
};
// Temporary problems; for other problems a retry does not help.
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

/** Shows a VaultError in a container, with a button that may solve the problem. */
export function showFailure(container, error, tryAgain) {
  const box = element("div", "notice");
  box.append(element("p", "message", OWN_MESSAGES[error.type] ?? error.detail));
  if (error.requestId) box.append(reference(error.requestId));
  if (error.type === "unauthenticated") box.append(button("Sign in", focusSignIn));
  else if (TEMPORARY.has(error.type)) box.append(button("Try again", tryAgain));
  container.replaceChildren(box);
  box.scrollIntoView({ block: "nearest" });
}

export function clearFailures() {
  for (const container of document.querySelectorAll("#notice, .failure")) {
    container.replaceChildren();
  }
}

function reference(id) {
  const code = element("code", "", id);
  const copy = button("", () => copyText(copy, code), "copy");
  copy.append(symbol("copy", "symbol small"));
  copy.setAttribute("aria-label", "Copy the reference");
  return element("p", "reference dim", "Reference for support ", element("span", "", code, copy));
}

async function copyText(copy, code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    copy.replaceChildren(symbol("check", "symbol small"));
    document.querySelector("#status").textContent = "The reference was copied";
  } catch {
    getSelection().selectAllChildren(code); // the user can copy the selection
  }
}
