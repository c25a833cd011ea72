// The embedded variant: the page passes the session token to Vault JS, and does not store it.

import "./drawer.js";

import { drawSignIn, isAborted, startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { changes } from "./changes.js";
import { readConnections, showState } from "./connections.js";
import { connectorOf } from "./connectors.js";
import { clearFailures, showFailure } from "./failure.js";
import { copyOf, element, symbol } from "./markup.js";
import { VaultDialog } from "./vault-dialog.js";
import { createVaultSession } from "./vault-bff-client/index.js";

// In your application: import { ApideckVault } from "@apideck/vault-js";
const ApideckVault = globalThis.ApideckVault ?? VaultDialog;

const greeting = document.querySelector("#greeting");
const list = document.querySelector("#connected");
const notice = document.querySelector("#notice");
const open = document.querySelector("#open");
let latestRefresh = 0;

async function openEmbedded() {
  if (isBusy(open)) return;
  clearFailures();
  setBusy(open, "Opening your integrations");
  try {
    // The user stays on this page, so there is no redirect target.
    const request = { return_to: null };
    const session = await createVaultSession({ ...(await vaultAccess()), request });
    ApideckVault.open({ token: session.session_token, onClose });
  } catch (error) {
    if (!isAborted(error)) showFailure(document.querySelector("#failure"), error, openEmbedded);
  } finally {
    setIdle(open);
  }
}

function onClose() {
  open.focus();
  refresh();
}

function draw(person) {
  clearFailures();
  greeting.textContent = person
    ? `Connect the systems that ${person.org_name} works with, without leaving this page.`
    : "You are signed out.";
  drawSignIn(person);
  document.querySelector("#panels").hidden = !person;
  open.disabled = !person;
  list.replaceChildren(...skeletons());
  latestRefresh += 1; // a response that has not arrived yet belongs to another user
  if (person) refresh();
}

async function refresh() {
  const thisRefresh = ++latestRefresh;
  try {
    const connections = await readConnections();
    if (thisRefresh !== latestRefresh) return;
    const configured = connections.filter(({ shown }) => shown !== "none");
    const empty = element("li", "nothing dim", "Nothing is connected yet.");
    list.replaceChildren(...(configured.length ? configured.map(drawRow) : [empty]));
  } catch (error) {
    if (thisRefresh !== latestRefresh) return;
    list.replaceChildren(element("li", "nothing dim", "Your connections could not be loaded."));
    showFailure(notice, error, refreshAgain);
  }
}

function refreshAgain() {
  clearFailures();
  list.replaceChildren(...skeletons());
  refresh();
}

function drawRow(connection) {
  const { name, symbol: id, unified_api } = connectorOf(connection);
  const row = copyOf("#row");
  const tile = row.querySelector(".tile");
  tile.dataset.kind = unified_api;
  tile.append(symbol(id));
  row.querySelector(".about").textContent = name;
  showState(row.querySelector(".state"), connection.shown);
  return row;
}

function skeletons() {
  return [1, 2].map(() => element("li", "row skeleton", element("span", "unseen", "Checking…")));
}

async function start() {
  clearFailures();
  list.replaceChildren(...skeletons());
  try {
    await startAccount(draw);
  } catch (error) {
    greeting.textContent = "Your account could not be loaded.";
    list.replaceChildren();
    showFailure(notice, error, start);
  }
}

document.querySelector("#placeholder").hidden = ApideckVault !== VaultDialog;
open.addEventListener("click", openEmbedded);
changes.addEventListener("message", () => open.disabled || refresh());
start();
