// What the Vault says on the way back stands in the query. It is text, and stays text.
const query = new URLSearchParams(location.search);
const outcome = document.querySelector("#outcome");
const connected = query.get("authorizedConnection");
const failed = query.get("error_message");

if (connected) outcome.textContent = `Connected: ${connected}.`;
if (failed) outcome.textContent = `Not connected: ${failed}`;

// Leave no trace of it in the address bar or the history.
history.replaceState(null, "", location.pathname);
