// The settings page: one card for each connector, with a button that opens the Vault.

import "./drawer.js";

import { drawSignIn, startAccount } from "./account.js";
import { drawGroup, showStates } from "./cards.js";
import { changes } from "./changes.js";
import { readConnections } from "./connections.js";
import { GROUPS, connectorOf, connectorsOf, isKnown } from "./connectors.js";
import { clearFailures, showFailure } from "./failure.js";
import { open } from "./open.js";

const greeting = document.querySelector("#greeting");
const groups = document.querySelector("#groups");
const manage = document.querySelector("#manage");
const notice = document.querySelector("#notice");
let latestRefresh = 0;
let others; // the group of connectors that only Apideck knows

function draw(person) {
  clearFailures();
  greeting.textContent = person
    ? `Connect the systems that ${person.org_name} works with.`
    : "You are signed out.";
  manage.hidden = !person;
  manage.disabled = false;
  manage.classList.remove("primary");
  drawSignIn(person);
  drawGroups(person ? GROUPS : []);
  latestRefresh += 1; // a response that has not arrived yet belongs to another user
  if (person) refresh();
}

function drawGroups(all) {
  others = undefined;
  groups.replaceChildren(...all.map((group) => drawGroup(group.title, connectorsOf(group))));
}

async function refresh() {
  const thisRefresh = ++latestRefresh;
  // If another user has signed in since, the response is not for that user.
  const isCurrent = () => thisRefresh === latestRefresh;
  try {
    const connections = await readConnections();
    if (isCurrent()) showConnections(connections);
  } catch (error) {
    if (!isCurrent()) return;
    showStates(() => "unknown");
    showFailure(notice, error, refreshAgain);
  }
}

function showConnections(connections) {
  drawOthers(connections.filter((connection) => !isKnown(connection)).map(connectorOf));
  const states = new Map(connections.map((one) => [keyOf(one), one.shown]));
  // Apideck lists nothing for a customer who has never opened the Vault.
  showStates((connector) => states.get(keyOf(connector)) ?? "none");
  manage.classList.toggle("primary", [...states.values()].includes("connected"));
}

function drawOthers(connectors) {
  const key = connectors.map(keyOf).join();
  // Keep existing cards: one of them may be busy or have the focus.
  if (others?.dataset.key === key) return;
  others?.remove();
  others = drawGroup("Other", connectors);
  others.dataset.key = key;
  if (connectors.length) groups.append(others);
}

function keyOf({ unified_api, service_id }) {
  return `${unified_api}/${service_id}`;
}

function refreshAgain() {
  clearFailures();
  showStates(() => "checking");
  refresh();
}

async function start() {
  clearFailures();
  drawGroups(GROUPS);
  try {
    await startAccount(draw);
  } catch (error) {
    greeting.textContent = "Your account could not be loaded.";
    showStates(() => "unknown");
    showFailure(notice, error, start);
  }
}

manage.addEventListener("click", () => open(manage, "your integrations", {}, notice));
changes.addEventListener("message", () => manage.hidden || refresh());
// After the Back button, browsers may restore the page as it was before the visit to the Vault.
addEventListener("pageshow", (event) => event.persisted && refreshAgain());
start();
