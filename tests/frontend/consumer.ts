// What the types have to allow, as docs/frontend.md uses the module, and what they have to refuse.
// Nothing runs this: tsc reads it.

import {
  createVaultSession,
  openVault,
  VaultSessionError,
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
    // @ts-expect-error - where the service did not say, there is nothing to wait for
    show(error.retryAfter.toFixed());
    // @ts-expect-error - an error is what it was when it was thrown
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

// An application tests what it shows with errors of its own making.
export const down = new VaultSessionError(
  { type: "rate-limited", detail: "Later.", request_id: "1", errors: [] },
  { status: 429, retryAfter: 3, cause: "test" },
);
export const nothing: VaultSessionOptions = {};
export const defaults: [Promise<void>, Promise<VaultSession>] = [openVault(), createVaultSession()];

// @ts-expect-error - cookies are sent or not; "omit" is what leaving it out means
export const omitted: VaultSessionOptions = { credentials: "omit" };
// @ts-expect-error - who the person is cannot be sent by a page
export const asked: VaultSessionRequest = { consumer_id: "acme" };
// @ts-expect-error - a connection needs both of its ids
export const half: VaultSessionRequest = { connection: { unified_api: "accounting" } };
