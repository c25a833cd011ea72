// The browser client of Vault BFF: one file without dependencies. index.d.ts has types and docs.

const LONGEST_WAIT_SECONDS = 5;
const TIMEOUT_SECONDS = 30;

// Requests in flight, by everything that makes them different.
const inFlight = new Map();

export class VaultError extends Error {
  name = "VaultError";

  constructor({ type = "unexpected-response", detail, request_id, errors }, context) {
    super(detail || "Something went wrong.");
    this.type = String(type).split("/").pop();
    this.detail = this.message;
    this.requestId = request_id || undefined;
    Object.assign(this, { errors: errors ?? [], status: 0 }, context);
  }
}

export async function openVault(options) {
  location.assign((await createVaultSession(options)).redirect_url);
}

export function createVaultSession(options) {
  const { request = {}, csrfHeader = "X-Vault-Session", credentials } = options;
  const headers = { "Content-Type": "application/json" };
  if (credentials) headers[csrfHeader] = "1"; // another site's page cannot send it
  const init = { method: "POST", headers, body: JSON.stringify(request) };
  return call(options, "/vault-session", init, (body) => isWebUrl(body.redirect_url) && body);
}

export function listConnections(options) {
  const { unifiedApi, configured } = options;
  const query = new URLSearchParams();
  if (unifiedApi !== undefined) query.set("unified_api", unifiedApi);
  if (configured !== undefined) query.set("configured", configured);
  const path = query.size ? `/vault-connections?${query}` : "/vault-connections";
  return call(options, path, {}, ({ connections }) => Array.isArray(connections) && connections);
}

export async function getConnection(unifiedApi, serviceId, options) {
  const ids = [unifiedApi, serviceId];
  if (ids.some((id) => /^\.*$/.test(id))) {
    // As a segment of a path, dots would name another path.
    const problem = { type: "connection-not-found", detail: "There is no such integration." };
    throw new VaultError(problem, { status: 404 });
  }
  const path = `/vault-connections/${ids.map(encodeURIComponent).join("/")}`;
  return call(options, path, {}, (body) => body.service_id && body);
}

/** Tells whether a URL is safe to navigate to: `javascript:` would run in the page. */
function isWebUrl(text) {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return protocol === "https:" || (protocol === "http:" && isLoopback);
}

/**
 * Sends a request, or shares the equal one with the same token that is in flight. `read` returns
 * the part of the response's body that the caller gets, or something falsy.
 */
async function call(options, path, init, read) {
  const { baseUrl = "", credentials, signal } = options;
  signal?.throwIfAborted();
  const token = credentials ? undefined : options.token;
  const isFunction = typeof token === "function";
  const bearer = isFunction ? await join(begin(async () => token(false)), signal) : token;
  signal?.throwIfAborted();
  const url = baseUrl.replace(/\/+$/, "") + path;
  const request = { ...init, credentials: credentials ?? "omit", redirect: "error" };
  const start = (shared) => send(url, request, bearer, token, read, shared);
  // A page cannot see whose cookie a request has, so only the service can tell which are equal.
  if (credentials) return join(begin(start), signal);
  return join(share(JSON.stringify([url, request, bearer]), start), signal);
}

/** Returns the work with this key that is in flight, or starts it. */
function share(key, start) {
  let work = inFlight.get(key);
  if (!work) {
    work = begin(start, () => inFlight.get(key) === work && inFlight.delete(key));
    inFlight.set(key, work);
  }
  return work;
}

/** Starts work, whose signal is aborted when the time is over. `onEnd` is called when it ends. */
function begin(start, onEnd) {
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => {
    const cause = new Error(`There was no result within ${TIMEOUT_SECONDS} seconds.`);
    controller.abort(unreachable(cause));
  }, TIMEOUT_SECONDS * 1000);
  const end = () => {
    clearTimeout(timer);
    onEnd?.();
  };
  signal.addEventListener("abort", end);
  return { callers: 0, controller, result: until(signal, start(signal)).finally(end) };
}

/** Waits for work, or until the signal is aborted. Work that all callers have left is aborted. */
function join(work, signal) {
  work.callers += 1;
  if (!signal) return work.result;
  return until(signal, work.result, () => {
    work.callers -= 1;
    if (work.callers === 0) work.controller.abort();
  });
}

/** Waits for a promise, or until the signal is aborted: then it rejects with the signal's reason. */
function until(signal, promise, onAbort) {
  return new Promise((resolve, reject) => {
    const leave = () => {
      reject(signal.reason);
      onAbort?.();
    };
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

/** Sends a request; after a 401 once with a new token, and after a short Retry-After once more. */
async function send(url, request, bearer, token, read, signal) {
  let canRenew = typeof token === "function";
  let canWait = true;
  for (;;) {
    const headers = { ...request.headers };
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    const [response, body] = await exchange(url, { ...request, headers, signal });
    const found = response.ok && body && read(body);
    if (found) return found;

    if (canRenew && response.status === 401) {
      canRenew = false;
      bearer = await token(true);
      if (bearer) continue;
    }
    const retryAfter = parseInt(response.headers.get("Retry-After")) || undefined;
    if (canWait && retryAfter <= LONGEST_WAIT_SECONDS) {
      canWait = false;
      await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
      continue;
    }
    const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
    throw new VaultError((isProblem && body) || {}, { status: response.status, retryAfter });
  }
}

/** Returns a response and its body, which is undefined if it is not JSON: a proxy's page. */
async function exchange(url, init) {
  try {
    const response = await fetch(url, init);
    const body = await response.json().catch((error) => {
      if (!(error instanceof SyntaxError)) throw error;
    });
    return [response, body];
  } catch (cause) {
    throw unreachable(cause);
  }
}

function unreachable(cause) {
  const detail = "The service cannot be reached.";
  return new VaultError({ type: "network", detail }, { cause });
}
