// The return page. Anyone can create a link to it, so the page shows the query only as text, does not
// trust it, and shows only the state that the service has confirmed.

import "./drawer.js";

import { signedIn, startAccount } from "./account.js";
import { readConnections } from "./connections.js";
import { connectorOf, knownConnector } from "./connectors.js";
import { clearFailures, showFailure } from "./failure.js";
import { element } from "./markup.js";
import { open } from "./open.js";

const MAX_SHOWN = 200;
const REPORTED = {
  error_message: "Message",
  error_type: "Kind",
  service_id: "Connector",
  origin: "Where",
  ref: "More about it",
};
const REPORTS_CONNECTION = "The Vault reported an error, but the connection works.";
const REPORTS_ERROR = "The Vault reported an error. You can try again.";
const NO_CONNECTION = "You can connect it now, or at any time later.";

const query = new URLSearchParams(location.search);
const failed = ["error_type", "error_message"].some((name) => query.has(name));
const serviceId = query.get("authorizedConnection") ?? query.get("service_id");
const again = document.querySelector("#again");
const failure = document.querySelector("#failure");
let connector = knownConnector(serviceId);
let latestCheck = 0;

/** Shows whether the connector is connected, as the service reports it. */
async function check() {
  const thisCheck = ++latestCheck;
  clearFailures();
  again.hidden = true;
  if (!serviceId) {
    const text = "Your integrations show what is connected.";
    return show("", failed ? "The Vault reported an error" : "Welcome back", text);
  }
  if (!signedIn()) return show("", "You are signed out", "Sign in to see what is connected.");
  const name = connector?.name ?? "your integrations";
  show("busy", `Checking ${name}…`, "This takes a moment.");
  try {
    const connections = await readConnections();
    if (thisCheck !== latestCheck) return;
    const found = connections.find((connection) => connection.service_id === serviceId);
    connector = found ? connectorOf(found) : connector;
    showState(found?.shown ?? "none");
  } catch (error) {
    if (thisCheck !== latestCheck) return;
    show("bad", `The state of ${name} is unknown`, "It could not be checked.");
    showFailure(failure, error, check);
  }
}

function showState(state) {
  if (!connector) return show("", "Welcome back", "Your integrations show what is connected.");
  const { name } = connector;
  const outcomes = {
    connected: ["good", `${name} is connected`, failed ? REPORTS_CONNECTION : "Fieldnotes starts to sync in a moment."],
    disabled: ["", `${name} is disabled`, "You can enable it in the Vault."],
    attention: ["bad", `${name} needs attention`, failed ? REPORTS_ERROR : "Open it to see what is missing."],
    none: ["bad", `${name} is not connected`, failed ? REPORTS_ERROR : NO_CONNECTION],
    unknown: ["", `The state of ${name} is unknown`, "Your integrations show its state later."],
  };
  show(...outcomes[state]);
  again.hidden = state === "connected";
  again.textContent = state === "none" ? `Connect ${name}` : `Open ${name}`;
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
    if (text) list.append(element("dt", "", label), element("dd", "", text));
  }
  document.querySelector("#report").hidden = false;
}

async function start() {
  clearFailures();
  try {
    await startAccount(check);
  } catch (error) {
    show("bad", "Your account could not be loaded", "Nothing could be checked.");
    showFailure(failure, error, start);
  }
}

again.addEventListener("click", () => {
  const { name, unified_api, service_id } = connector;
  open(again, name, { connection: { unified_api, service_id } }, failure);
});
if (failed) showReport();
// Remove the query from the address bar, the history and the Referer.
history.replaceState(null, "", location.pathname);
start();
