// The settings page: one card for each connector, and a click that leads to the Vault.

import { startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { readConnections } from "./connections.js";
import { GROUPS } from "./connectors.js";
import { clearNotice, showNotice } from "./notice.js";
import { openVault } from "./vault-session.js";

const STATES = {
  loading: { words: "Checking…", verb: "Open" },
  unknown: { words: "Not known just now", verb: "Open" },
  connected: { words: "Connected", verb: "Manage" },
  disabled: { words: "Disabled", verb: "Manage" },
  none: { words: "Not connected", verb: "Connect" },
};
const greeting = document.querySelector("#greeting");
const manage = document.querySelector("#manage");
const cards = [];
let asked = 0;

async function go(button, name, request) {
  if (isBusy(button)) return;
  clearNotice();
  setBusy(button, `Opening ${name}`);
  try {
    await openVault({ ...(await vaultAccess()), request });
    // The button stays busy: the browser is on its way.
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
  const { words, verb } = STATES[state];
  const shown = card.querySelector(".state");
  const button = card.querySelector("button");
  shown.textContent = words;
  shown.classList.toggle("on", state === "connected");
  button.disabled = state === "loading";
  if (isBusy(button)) return; // a button that opens something says so until it has
  button.textContent = verb;
  button.setAttribute("aria-label", `${verb} ${name}`);
}

async function refresh() {
  const mine = ++asked;
  // Meanwhile somebody else may have signed in: what was asked for another is not for them.
  const isCurrent = () => mine === asked;
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
// With the browser's Back button the page may come back as it was left, before the Vault.
addEventListener("pageshow", (event) => event.persisted && refreshAgain());
start();
