// A client of Vault BFF, ready to copy. Its types and its manual: vault-session.d.ts

const MAX_WAIT = 5; // seconds
const UNREACHABLE = "The service cannot be reached. Check your connection and try again.";
const inFlight = new Map();

export class VaultSessionError extends Error {
  name = "VaultSessionError";

  constructor({ type = "unexpected-response", detail, request_id, errors = [] }, context = {}) {
    super(detail ?? "Something went wrong. Please try again.", { cause: context.cause });
    this.type = String(type).split("/").pop();
    this.status = context.status ?? 0;
    this.detail = this.message;
    this.requestId = request_id;
    this.errors = errors;
    this.retryAfter = context.retryAfter;
  }
}

export async function openVault({ navigate = (url) => location.assign(url), ...options } = {}) {
  const { redirect_url } = await createVaultSession(options);
  navigate(redirect_url);
}

export function createVaultSession(options = {}) {
  // A second click gets the promise of the first.
  const key = JSON.stringify(options);
  if (!inFlight.has(key)) inFlight.set(key, ask(options).finally(() => inFlight.delete(key)));
  return inFlight.get(key);
}

async function ask({ wait = sleep, ...options }) {
  try {
    return await post(options);
  } catch (error) {
    if (![429, 503].includes(error.status) || !(error.retryAfter <= MAX_WAIT)) throw error;
    await wait(error.retryAfter);
    return post(options);
  }
}

async function post(options) {
  const { url = "/vault-session", token, credentials = "omit", request = {} } = options;
  const { csrfHeader = "X-Vault-Session", timeout = 30 } = options;
  const headers = { "Content-Type": "application/json" };
  if (credentials !== "omit") headers[csrfHeader] = "1";
  else if (token) headers.Authorization = `Bearer ${token}`;
  let response, answer;
  try {
    const body = JSON.stringify(request);
    const signal = AbortSignal.timeout(timeout * 1000);
    response = await fetch(url, { method: "POST", credentials, headers, body, signal });
    answer = await response.json();
  } catch (cause) {
    // A page of some proxy is not JSON; whatever else went wrong, no answer arrived.
    if (!(cause instanceof SyntaxError)) {
      throw new VaultSessionError({ type: "network", detail: UNREACHABLE }, { cause });
    }
  }
  if (response.ok && answer?.redirect_url) return answer;
  const { status } = response;
  throw new VaultSessionError(answer ?? {}, { status, retryAfter: secondsOf(response) });
}

function secondsOf({ headers }) {
  const value = headers.get("Retry-After");
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}

const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
