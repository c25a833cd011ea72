// A client of Vault BFF, ready to copy. Types and manual: vault-session.d.ts

const underWay = {};

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
  return (underWay[key] ??= ask(options).finally(() => delete underWay[key]));
}

async function ask(options, again = true) {
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
  }).catch(explain);
  const answer = (await response.json().catch(explain)) ?? {};
  if (response.ok && answer.redirect_url) return answer;

  const retryAfter = parseInt(response.headers.get("Retry-After")) || undefined;
  if (again && retryAfter <= 5) {
    await new Promise((done) => setTimeout(done, retryAfter * 1000));
    return ask(options, false);
  }
  throw new VaultSessionError(answer, { status: response.status, retryAfter });
}

function explain(cause) {
  if (cause instanceof SyntaxError) return; // a proxy's page is no JSON
  const detail = "The service cannot be reached.";
  throw new VaultSessionError({ type: "network", detail }, { cause });
}
