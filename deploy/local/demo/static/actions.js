// Records the page's requests to the service and the responses, for the drawer. Tokens are masked
// before they are stored, because a token is as sensitive as a password.

const KEY = "fieldnotes.actions";
const KEPT = 4;
const SERVICE = /\/vault-(session|connections)(\/|\?|$)/;
const TOKEN = /[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g; // such as a JWT
const send = globalThis.fetch;

/** The recorded actions, the latest first. */
export const actions = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");

globalThis.fetch = async (url, init = {}) => {
  if (!SERVICE.test(url)) return send(url, init);
  const action = {
    at: Date.now(),
    method: init.method ?? "GET",
    url: String(url),
    sent: Object.entries(init.headers ?? {}).map(([name, value]) => [name, masked(value)]),
    body: masked(init.body ?? ""),
  };
  const started = performance.now();
  try {
    const response = await send(url, init);
    const text = await response.clone().text();
    action.status = response.status;
    action.received = [...response.headers].map(([name, value]) => [name, masked(value)]);
    action.result = masked(text, tokenIn(text));
    action.requestId = response.headers.get("X-Request-ID");
    return response;
  } finally {
    action.milliseconds = Math.round(performance.now() - started);
    record(action);
  }
};

function record(action) {
  actions.unshift(action);
  actions.length = Math.min(actions.length, KEPT);
  sessionStorage.setItem(KEY, JSON.stringify(actions));
  dispatchEvent(new Event("action"));
}

function tokenIn(text) {
  try {
    return JSON.parse(text).session_token;
  } catch {
    return undefined;
  }
}

function masked(text, token) {
  const withoutToken = token ? text.replaceAll(token, hidden(token)) : text;
  return withoutToken.replaceAll(TOKEN, hidden);
}

function hidden(token) {
  return `••• (${token.length} characters, hidden)`;
}
