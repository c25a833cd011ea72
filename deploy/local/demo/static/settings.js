// The settings page: one card for each connector, with a button that opens the Vault.

import { startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { readConnections } from "./connections.js";
import { GROUPS } from "./connectors.js";
import { clearNotice, showNotice } from "./notice.js";
import { openVault } from "./vault-session.js";

const STATES = {
  loading: { label: "Checking…", verb: "Open" },
  unknown: { label: "Unknown", verb: "Open" },
  connected: { label: "Connected", verb: "Manage" },
  disabled: { label: "Disabled", verb: "Manage" },
  none: { label: "Not connected", verb: "Connect" },
};
const greeting = document.querySelector("#greeting");
const manage = document.querySelector("#manage");
const cards = [];
let latestRefresh = 0;

async function go(button, name, request) {
  if (isBusy(button)) return;
  clearNotice();
  setBusy(button, `Opening ${name}`);
  try {
    await openVault({ ...(await vaultAccess()), request });
    // The button stays busy while the browser leaves the page.
  } catch (error) {
    setIdle(button);
    showNotice(error, () => go(button, name, request));
  }
}

function draw(person) {
  clearNotice();
  greeting.textContent = person
    ? `Connect the systems that ${person.org_name} works with.`
    : "You are signed out.";
  manage.disabled = false;
  cards.length = 0;
  document.querySelector("#groups").replaceChildren(...GROUPS.map(drawGroup));
  refresh();
}

function drawGroup({ unified_api, title, connectors }) {
  const group = copyOf("#group");
  group.querySelector("h2").textContent = title;
  group.querySelector("ul").append(...connectors.map((one) => drawCard(one, unified_api)));
  return group;
}

function drawCard({ service_id, name, purpose }, unified_api) {
  const card = copyOf("#card");
  card.dataset.service = service_id;
  card.querySelector(".tile").textContent = name[0];
  card.querySelector("h3").textContent = name;
  card.querySelector("p").textContent = purpose;
  const button = card.querySelector("button");
  button.addEventListener("click", () =>
    go(button, name, { connection: { unified_api, service_id } }),
  );
  cards.push({ card, name, unified_api, service_id });
  showState(cards.at(-1), "loading");
  return card;
}

function showState({ card, name }, state) {
  const { label, verb } = STATES[state];
  const shown = card.querySelector(".state");
  const button = card.querySelector("button");
  shown.textContent = label;
  shown.classList.toggle("on", state === "connected");
  button.disabled = state === "loading";
  if (isBusy(button)) return; // its text says that it is opening something
  button.textContent = verb;
  button.setAttribute("aria-label", `${verb} ${name}`);
}

async function refresh() {
  const thisRefresh = ++latestRefresh;
  // If another user has signed in since, the response is not for that user.
  const isCurrent = () => thisRefresh === latestRefresh;
  try {
    const stateOf = await readConnections();
    if (!isCurrent()) return;
    for (const one of cards) showState(one, stateOf(one.unified_api, one.service_id) ?? "none");
  } catch (error) {
    if (!isCurrent()) return;
    for (const one of cards) showState(one, "unknown");
    showNotice(error, refreshAgain);
  }
}

function refreshAgain() {
  clearNotice();
  refresh();
}

function copyOf(template) {
  return document.querySelector(template).content.firstElementChild.cloneNode(true);
}

async function start() {
  clearNotice();
  try {
    await startAccount(draw);
  } catch (error) {
    greeting.textContent = "Your account could not be loaded.";
    showNotice(error, start);
  }
}

manage.addEventListener("click", () => go(manage, "your integrations", {}));
// The demo's server sends a message when Apideck reports that a connection has changed.
new EventSource("/changes").addEventListener("message", refresh);
// After the Back button, browsers may restore the page as it was before the visit to the Vault.
addEventListener("pageshow", (event) => event.persisted && refreshAgain());
start();
