// The return page. Anyone can write a link to it, so the page shows the query as text and never as a
// link, trusts nothing in it, and has its own headlines.

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
  showReport();
} else if (nameOf(connected)) {
  showState(connected);
}

// Remove the query from the address bar, the history and the Referer.
history.replaceState(null, "", location.pathname);

/** Shows whether the connector is connected, as the service reports it. */
async function showState(serviceId) {
  const name = nameOf(serviceId);
  show("busy", `Checking ${name}…`, "This takes a moment.");
  try {
    await loadAccount();
    const stateOf = await readConnections();
    if (GROUPS.some((group) => stateOf(group.unified_api, serviceId) === "connected")) {
      show("good", `${name} is connected`, "Fieldnotes starts to sync in a moment.");
    } else {
      show("bad", `${name} is not connected`, "Nothing has changed. You can try again.");
    }
  } catch {
    show("bad", `${name} could not be checked`, "Your integrations show its state in a moment.");
  }
}

function show(kind, headline, next) {
  document.querySelector("#sign").className = `sign ${kind}`;
  document.querySelector("#outcome").textContent = headline;
  document.querySelector("#next").textContent = next;
  document.title = `${headline} · Fieldnotes`;
}

function showReport() {
  const list = document.querySelector("#report dl");
  for (const [parameter, label] of Object.entries(REPORTED)) {
    const text = query.get(parameter)?.slice(0, MAX_SHOWN);
    if (text) list.append(element("dt", label), element("dd", text));
  }
  document.querySelector("#report").hidden = false;
}

function element(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
