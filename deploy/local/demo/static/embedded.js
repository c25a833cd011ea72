// The embedded variant: the page passes the session token to Vault JS, and does not store it.

import { startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { clearNotice, showNotice } from "./notice.js";
import { createVaultSession } from "./vault-session.js";
import { VaultPlaceholder } from "./vault-placeholder.js";

// In your application: import { ApideckVault } from "@apideck/vault-js";
const ApideckVault = globalThis.ApideckVault ?? VaultPlaceholder;

const greeting = document.querySelector("#greeting");
const open = document.querySelector("#open");

async function openEmbedded() {
  if (isBusy(open)) return;
  clearNotice();
  setBusy(open, "Opening your integrations");
  try {
    // The user stays on this page, so there is no redirect target.
    const request = { return_to: null };
    const session = await createVaultSession({ ...(await vaultAccess()), request });
    ApideckVault.open({ token: session.session_token, onClose: () => open.focus() });
  } catch (error) {
    showNotice(error, openEmbedded);
  } finally {
    setIdle(open);
  }
}

function draw(person) {
  clearNotice();
  greeting.textContent = person
    ? `Connect the systems that ${person.org_name} works with, right here.`
    : "You are signed out.";
  open.disabled = false;
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

document.querySelector("#placeholder").hidden = ApideckVault !== VaultPlaceholder;
open.addEventListener("click", openEmbedded);
start();
