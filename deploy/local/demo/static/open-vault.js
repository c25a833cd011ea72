// The whole of what a frontend does: one POST with the caller's token, then a navigation.
// This is the file to copy.

/**
 * Asks Vault BFF for a session, and goes there.
 *
 * @param {string} service URL of Vault BFF
 * @param {string} accessToken of whoever is signed in
 * @param {{unified_api: string, service_id: string}} [connection] to open directly
 * @throws {Error} with a message for the person, when there is no session
 */
export async function openVault(service, accessToken, connection) {
  const response = await fetch(`${service}/vault-session`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${accessToken}` },
    body: JSON.stringify(connection ? { connection } : {}),
  });
  const answer = await response.json();
  // Every refusal is a problem (RFC 9457); its `detail` is written for people.
  if (!response.ok) throw new Error(answer.detail);
  // A top-level navigation: the Vault cannot be framed.
  location.assign(answer.redirect_url);
}
