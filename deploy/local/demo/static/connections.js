// What the signed-in user's organization has connected, as the service reports it.

import { connectionsAccess, signedIn } from "./account.js";
import { listConnections } from "./vault-session.js";

const key = (unifiedApi, serviceId) => `${unifiedApi}/${serviceId}`;

/** Returns a function that maps the ids of a connector to `connected`, `disabled` or undefined. */
export async function readConnections() {
  const options = { ...(await connectionsAccess()), configured: true };
  const listed = signedIn() ? await listConnections(options) : [];
  const states = new Map(listed.map((one) => [key(one.unified_api, one.service_id), shown(one)]));
  return (unifiedApi, serviceId) => states.get(key(unifiedApi, serviceId));
}

function shown({ state, enabled }) {
  if (state !== "callable") return undefined; // also for states that Apideck adds later
  return enabled === false ? "disabled" : "connected";
}
