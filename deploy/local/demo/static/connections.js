// The connections of the signed-in user, which the demo's own server reads from Apideck. A page that
// called Apideck itself would have to store a session token, which gives access to the connections.

import { accessToken, signedIn } from "./account.js";
import { VaultSessionError } from "./vault-session.js";

const key = (unifiedApi, serviceId) => `${unifiedApi}/${serviceId}`;

/** Returns a function that maps the ids of a connector to `connected`, `disabled` or undefined. */
export async function readConnections() {
  const listed = signedIn() ? await load(await accessToken()) : [];
  const states = new Map(listed.map((one) => [key(one.unified_api, one.service_id), one.state]));
  return (unifiedApi, serviceId) => states.get(key(unifiedApi, serviceId));
}

async function load(token) {
  let response, body;
  try {
    response = await fetch("/connections", { headers: { Authorization: `Bearer ${token}` } });
    body = await response.json();
  } catch (cause) {
    const detail = "Your connections could not be loaded. Please try again in a moment.";
    throw new VaultSessionError({ type: "network", detail }, { cause });
  }
  if (!response.ok) throw new VaultSessionError(body, { status: response.status });
  return body;
}
