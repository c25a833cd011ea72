// Code that the types have to allow, as in docs/frontend.md, and code that they have to reject. It is
// compiled by tsc and never run.

import {
  createVaultSession,
  getConnection,
  listConnections,
  openVault,
  VaultSessionError,
  type ConnectionsOptions,
  type ListConnectionsOptions,
  type VaultConnection,
  type VaultSession,
  type VaultSessionOptions,
  type VaultSessionRequest,
} from "../../deploy/local/demo/static/vault-session.js";

const url = "https://vault.example.com/vault-session";

export async function connect(accessToken: string, show: (text: string) => void): Promise<void> {
  try {
    await openVault({
      url,
      token: accessToken,
      request: { connection: { unified_api: "accounting", service_id: "xero" } },
    });
  } catch (error) {
    if (!(error instanceof VaultSessionError)) throw error;
    show(error.type === "unauthenticated" ? "Please sign in again." : error.detail);
    show(error.requestId ?? `${error.message}: ${error.status}`);
    for (const { pointer, detail } of error.errors) show(`${pointer}: ${detail}`);
    // @ts-expect-error - retryAfter is absent if the service has not sent it
    show(error.retryAfter.toFixed());
    // @ts-expect-error - the members of an error are read-only
    error.status = 200;
  }
}

export function connectWithCookies(): Promise<void> {
  return openVault({ url, credentials: "include", csrfHeader: "X-Vault-Session" });
}

export async function openEmbedded(token: string | null): Promise<string> {
  const request: VaultSessionRequest = { return_to: null, theme: { vault_name: "Fieldnotes" } };
  const session: VaultSession = await createVaultSession({ url, token, request });
  return `${session.session_token} ${session.redirect_url} ${new Date(session.expires_at)}`;
}

export async function connected(token: string): Promise<string[]> {
  const options: ListConnectionsOptions = { token, unifiedApi: "accounting", configured: true };
  const listed: VaultConnection[] = await listConnections(options);
  const cookies: ConnectionsOptions = { credentials: "same-origin" };
  const xero = await getConnection("accounting", "xero", cookies);
  // A state that Apideck adds later is a string.
  const states: (string | undefined)[] = [xero.state, "brand-new"];
  return [...listed.map((one) => one.name ?? one.service_id), ...states.map(String)];
}

// @ts-expect-error - a page cannot choose the consumer
export const anothers: ListConnectionsOptions = { consumerId: "acme" };
// @ts-expect-error - a connection that is read has no credentials
export const secret = (one: VaultConnection): unknown => one.settings;

// Tests of a web application can construct errors.
export const down = new VaultSessionError(
  { type: "rate-limited", detail: "Later.", request_id: "1", errors: [] },
  { status: 429, retryAfter: 3, cause: "test" },
);
export const nothing: VaultSessionOptions = {};
export const defaults: [Promise<void>, Promise<VaultSession>] = [openVault(), createVaultSession()];

// @ts-expect-error - without this option no cookies are sent, so "omit" is not a value
export const omitted: VaultSessionOptions = { credentials: "omit" };
// @ts-expect-error - a page cannot choose the consumer
export const foreign: VaultSessionRequest = { consumer_id: "acme" };
// @ts-expect-error - a connection needs both ids
export const half: VaultSessionRequest = { connection: { unified_api: "accounting" } };
