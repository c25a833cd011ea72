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
  const key = JSON.stringify(options); // a second click gets the promise of the first
  return (pending[key] ??= send(options).finally(() => delete pending[key]));
}

async function send(options, canRetry = true) {
  const { url = "/vault-session", token, credentials = "omit", request = {} } = options;
  const headers = { "Content-Type": "application/json" };
  if (credentials !== "omit") headers[options.csrfHeader ?? "X-Vault-Session"] = "1";
  else if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(url, {
    method: "POST",
    credentials,
    headers,
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(30_000),
  }).catch(rethrow);
  const body = (await response.json().catch(rethrow)) ?? {};
  if (response.ok && body.redirect_url) return body;

  const retryAfter = parseInt(response.headers.get("Retry-After")) || undefined;
  if (canRetry && retryAfter <= 5) {
    await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
    return send(options, false);
  }
  throw new VaultSessionError(body, { status: response.status, retryAfter });
}

function rethrow(cause) {
  if (cause instanceof SyntaxError) return; // not JSON: a proxy's page
  const detail = "The service cannot be reached.";
  throw new VaultSessionError({ type: "network", detail }, { cause });
}
