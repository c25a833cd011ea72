// The connections of the signed-in user's organization, as the service reports them.

import { vaultAccess } from "./account.js";
import { symbol } from "./markup.js";
import { listConnections } from "./vault-bff-client/index.js";

/** The text that a page shows for each state, and the verb of the button. */
export const STATES = {
  checking: { label: "Checking…", verb: "Checking", icon: "clock" },
  none: { label: "Not connected", verb: "Connect", icon: "ring" },
  connected: { label: "Connected", verb: "Manage", icon: "check" },
  disabled: { label: "Disabled", verb: "Manage", icon: "pause" },
  attention: { label: "Needs attention", verb: "Fix", icon: "warning" },
  unknown: { label: "Unknown", verb: "Open", icon: "question" },
};

/** Returns every connector that the Vault offers, with `shown`, one of the names in `STATES`. */
export async function readConnections() {
  const listed = await listConnections(await vaultAccess());
  return listed.map((connection) => ({ ...connection, shown: shown(connection) }));
}

/** Shows a state in an element. */
export function showState(element, state) {
  const { label, icon } = STATES[state];
  element.dataset.state = state;
  element.replaceChildren(symbol(icon, "symbol small"), label);
}

function shown({ state, enabled, health }) {
  if (state === "available" || state === "added") return "none";
  if (state === "authorized" || state === "invalid") return "attention";
  if (state !== "callable") return "unknown"; // Apideck may add states
  if (enabled === false) return "disabled";
  return [undefined, null, "ok", "pending_refresh"].includes(health) ? "connected" : "attention";
}
