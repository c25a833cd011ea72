// A client for Vault BFF, to copy. Types and docs: vault-session.d.ts

const pending = {};

export class VaultSessionError extends Error {
  name = "VaultSessionError";

  constructor({ type = "unexpected-response", detail, request_id, errors = [] }, context) {
    super(detail ?? "Something went wrong.");
    this.type = String(type).split("/").pop();
    this.detail = this.message;
    this.requestId = request_id;
    Object.assign(this, { errors, status: 0 }, context);
  }
}

export async function openVault(options) {
  location.assign((await createVaultSession(options)).redirect_url);
}

export function createVaultSession(options = {}) {
  const { url = "/vault-session", request = {}, csrfHeader = "X-Vault-Session" } = options;
  const headers = { "Content-Type": "application/json" };
  if (options.credentials) headers[csrfHeader] = "1";
  const init = { method: "POST", headers, body: JSON.stringify(request) };
  return share(options, url, init, (body) => body.redirect_url && body);
}

export function listConnections(options = {}) {
  const { url = "/vault-connections", unifiedApi, configured } = options;
  const query = new URLSearchParams();
  if (unifiedApi !== undefined) query.set("unified_api", unifiedApi);
  if (configured !== undefined) query.set("configured", configured);
  return share(options, query.size ? `${url}?${query}` : url, {}, (body) => body.connections);
}

export function getConnection(unifiedApi, serviceId, options = {}) {
  const { url = "/vault-connections" } = options;
  const path = [unifiedApi, serviceId].map(encodeURIComponent).join("/");
  return share(options, `${url}/${path}`, {}, (body) => body.service_id && body);
}

function share(options, url, init, result) {
  const key = JSON.stringify([options, url]); // a second click gets the promise of the first
  return (pending[key] ??= send(options, url, init, result).finally(() => delete pending[key]));
}

async function send(options, url, init, result, canRetry = true) {
  const { token, credentials = "omit" } = options;
  const headers = { ...init.headers };
  if (credentials === "omit" && token) headers.Authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(30_000);
  const response = await fetch(url, { ...init, credentials, headers, signal }).catch(rethrow);
  const body = (await response.json().catch(rethrow)) ?? {};
  const found = response.ok && result(body);
  if (found) return found;

  const retryAfter = parseInt(response.headers.get("Retry-After")) || undefined;
  if (canRetry && retryAfter <= 5) {
    await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
    return send(options, url, init, result, false);
  }
  throw new VaultSessionError(body, { status: response.status, retryAfter });
}

function rethrow(cause) {
  if (cause instanceof SyntaxError) return; // not JSON: a proxy's page
  const detail = "The service cannot be reached.";
  throw new VaultSessionError({ type: "network", detail }, { cause });
}
