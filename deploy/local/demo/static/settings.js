// The settings page: one card for each connector, and a click that leads to the Vault.

import { signedIn, startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { GROUPS } from "./connectors.js";
import { connectedOf, depart } from "./memory.js";
import { clearNotice, showNotice } from "./notice.js";
import { openVault } from "./vault-session.js";

const greeting = document.querySelector("#greeting");
const manage = document.querySelector("#manage");

async function go(button, name, request) {
  if (isBusy(button)) return;
  clearNotice();
  setBusy(button, `Opening ${name}`);
  try {
    const access = await vaultAccess();
    if (signedIn()) depart(signedIn().org_id);
    await openVault({ ...access, request });
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
  const connected = connectedOf(person?.org_id ?? "");
  const groups = GROUPS.map((group) => drawGroup(group, connected));
  document.querySelector("#groups").replaceChildren(...groups);
}

function drawGroup({ unified_api, title, connectors }, connected) {
  const group = copyOf("#group");
  group.querySelector("h2").textContent = title;
  const cards = connectors.map((connector) =>
    drawCard(connector, unified_api, connected.has(connector.service_id)),
  );
  group.querySelector("ul").append(...cards);
  return group;
}

function drawCard({ service_id, name, purpose }, unified_api, isConnected) {
  const card = copyOf("#card");
  const button = card.querySelector("button");
  const state = card.querySelector(".state");
  card.dataset.service = service_id;
  card.querySelector(".tile").textContent = name[0];
  card.querySelector("h3").textContent = name;
  card.querySelector("p").textContent = purpose;
  state.textContent = isConnected ? "Connected" : "Not connected";
  state.classList.toggle("on", isConnected);
  button.textContent = isConnected ? "Manage" : "Connect";
  button.setAttribute("aria-label", `${button.textContent} ${name}`);
  button.addEventListener("click", () =>
    go(button, name, { connection: { unified_api, service_id } }),
  );
  return card;
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
start();
