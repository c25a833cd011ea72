// The way back. What stands in the query came over a URL that anybody can write: it is shown as
// text, never as a link, nothing is believed on the strength of it, and the headline is ours.

import { loadAccount } from "./account.js";
import { readConnections } from "./connections.js";
import { GROUPS, nameOf } from "./connectors.js";

const MAX_SHOWN = 200;
const REPORTED = {
  error_message: "Message",
  error_type: "Kind",
  service_id: "Connector",
  origin: "Where",
  ref: "More about it",
};

const query = new URLSearchParams(location.search);
const connected = query.get("authorizedConnection");
const failed = ["error_type", "error_message"].some((name) => query.has(name));

if (failed) {
  const name = nameOf(query.get("service_id")) ?? "The integration";
  show("bad", `${name} was not connected`, "Nothing has changed. You can try again.");
  report();
} else if (nameOf(connected)) {
  sayIfConnected(connected);
}

// Nothing of it stays in the address bar, the history, or a Referer.
history.replaceState(null, "", location.pathname);

/** Says that it is connected where our server says so: a link must not put words in our mouth. */
async function sayIfConnected(serviceId) {
  try {
    await loadAccount();
    const stateOf = await readConnections();
    if (!GROUPS.some((group) => stateOf(group.unified_api, serviceId) === "connected")) return;
    show("good", `${nameOf(serviceId)} is connected`, "Fieldnotes begins to sync in a moment.");
  } catch {
    // Then it is just "Welcome back"; the settings page says what cannot be loaded.
  }
}

function show(kind, headline, next) {
  document.querySelector("#sign").classList.add(kind);
  document.querySelector("#outcome").textContent = headline;
  document.querySelector("#next").textContent = next;
  document.title = `${headline} · Fieldnotes`;
}

function report() {
  const list = document.querySelector("#report dl");
  for (const [parameter, label] of Object.entries(REPORTED)) {
    const text = query.get(parameter)?.slice(0, MAX_SHOWN);
    if (text) list.append(element("dt", label), element("dd", text));
  }
  document.querySelector("#report").hidden = false;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
