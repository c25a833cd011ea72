// What the Vault told this tab, by organisation: ids of connectors, and no token ever.
//
// It is for show. A real application asks its own server, which asks Apideck; a page that wanted
// to ask by itself would have to keep a session token, which opens the customer's connections.

const DEPARTURE = "fieldnotes.departure";
const key = (orgId) => `fieldnotes.connected.${orgId}`;

/** The ids of the connectors that were reported connected. */
export function connectedOf(orgId) {
  return new Set(JSON.parse(sessionStorage.getItem(key(orgId)) ?? "[]"));
}

export function rememberConnected(orgId, serviceId) {
  const ids = connectedOf(orgId).add(serviceId);
  sessionStorage.setItem(key(orgId), JSON.stringify([...ids]));
}

/** Notes for which organisation the person leaves for the Vault. */
export function depart(orgId) {
  sessionStorage.setItem(DEPARTURE, orgId);
}

/** For which organisation the person left, once; null for a link that did not begin here. */
export function returnFrom() {
  const orgId = sessionStorage.getItem(DEPARTURE);
  sessionStorage.removeItem(DEPARTURE);
  return orgId;
}
