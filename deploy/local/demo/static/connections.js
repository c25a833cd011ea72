// What is connected. This application's own server asks Apideck, and tells whoever is signed in;
// a page that asked by itself would have to keep a session token, which opens the connections.

import { accessToken, signedIn } from "./account.js";
import { VaultSessionError } from "./vault-session.js";

const key = (unifiedApi, serviceId) => `${unifiedApi}/${serviceId}`;

/** Returns a function from a connector's ids to `connected`, `disabled` or undefined. */
export async function readConnections() {
  const listed = signedIn() ? await ask(await accessToken()) : [];
  const states = new Map(listed.map((one) => [key(one.unified_api, one.service_id), one.state]));
  return (unifiedApi, serviceId) => states.get(key(unifiedApi, serviceId));
}

async function ask(token) {
  let response, answer;
  try {
    response = await fetch("/connections", { headers: { Authorization: `Bearer ${token}` } });
    answer = await response.json();
  } catch (cause) {
    const detail = "What is connected could not be loaded. Please try again in a moment.";
    throw new VaultSessionError({ type: "network", detail }, { cause });
  }
  if (!response.ok) throw new VaultSessionError(answer, { status: response.status });
  return answer;
}
