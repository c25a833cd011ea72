// The embedded variant: the session's token goes to Vault JS, and nowhere else.

import { startAccount, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { clearNotice, showNotice } from "./notice.js";
import { createVaultSession } from "./vault-session.js";
import { VaultStandIn } from "./vault-stand-in.js";

// In your application: import { ApideckVault } from "@apideck/vault-js";
const ApideckVault = globalThis.ApideckVault ?? VaultStandIn;

const greeting = document.querySelector("#greeting");
const open = document.querySelector("#open");

async function openEmbedded() {
  if (isBusy(open)) return;
  clearNotice();
  setBusy(open, "Opening your integrations");
  try {
    // No way back: there is nowhere to come back from.
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

document.querySelector("#stand-in").hidden = ApideckVault !== VaultStandIn;
open.addEventListener("click", openEmbedded);
start();
