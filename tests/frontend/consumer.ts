// Code that the types must accept, as in docs/frontend.md, and code that they must reject. tsc
// compiles this file; it never runs.

import {
  createVaultSession,
  getConnection,
  listConnections,
  openVault,
  VaultError,
  type FieldError,
  type GetToken,
  type ListConnectionsOptions,
  type Problem,
  type ProblemStatuses,
  type VaultConnection,
  type VaultCredential,
  type VaultOptions,
  type VaultSession,
  type VaultSessionOptions,
  type VaultSessionRequest,
} from "../../clients/javascript/index.js";
import {
  useConnections,
  useVault,
  type UseConnections,
  type UseConnectionsOptions,
  type UseVault,
  type UseVaultOptions,
} from "../../clients/javascript/react.js";

const baseUrl = "https://vault.example.com";

export async function connect(accessToken: string, show: (text: string) => void): Promise<void> {
  try {
    await openVault({
      baseUrl,
      token: accessToken,
      request: { connection: { unified_api: "accounting", service_id: "xero" } },
    });
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    show(error.type === "unauthenticated" ? "Please sign in again." : error.detail);
    show(error.requestId ?? `${error.name}, ${error.message}: ${error.status}`);
    for (const { pointer, detail } of error.errors) show(`${pointer}: ${detail}`);
    // @ts-expect-error - retryAfter is absent if the service has not sent it
    show(error.retryAfter.toFixed());
    // @ts-expect-error - the members of an error are read-only
    error.status = 200;
    // @ts-expect-error - the service has no such type
    if (error.type === "rate-limitted") show("");
  }
}

// The type of an error or problem determines the types of its other members.
export function statusOf(error: VaultError): 0 | 401 | 403 {
  switch (error.type) {
    case "network":
    case "unauthenticated":
    case "missing-claim":
      return error.status;
    default:
      // @ts-expect-error - another type has another status
      return error.status;
  }
}

// Without a default case, the compiler reports missing types.
// @ts-expect-error - most types have no case
export function advice(problem: Problem): string {
  switch (problem.type) {
    case "network":
      return "Check your connection.";
  }
}

export const rejected: ProblemStatuses["apideck-rejected-request"] = 502;
export const fault: FieldError = { pointer: "/theme", detail: "You may not set this field." };

export function connectWithCookies(): Promise<void> {
  return openVault({ baseUrl, credentials: "include", csrfHeader: "X-Vault-Session" });
}

export async function openEmbedded(token: string | null): Promise<string> {
  const request: VaultSessionRequest = { return_to: null, theme: { vault_name: "Fieldnotes" } };
  const session: VaultSession = await createVaultSession({ baseUrl, token, request });
  return `${session.session_token} ${session.redirect_url} ${new Date(session.expires_at)}`;
}

const getToken: GetToken = async (renew) => (renew ? "new" : undefined);
export const synchronous: VaultOptions = { token: () => "abc", signal: AbortSignal.timeout(1000) };

export async function connected(): Promise<string[]> {
  const options: ListConnectionsOptions = { token: getToken, unifiedApi: "crm", configured: true };
  const listed: VaultConnection[] = await listConnections(options);
  const cookies: VaultCredential = { credentials: "same-origin" };
  const xero = await getConnection("accounting", "xero", cookies);
  // A state that Apideck adds later is a string.
  const states: (string | undefined)[] = [xero.state, "brand-new"];
  return [...listed.map((one) => one.name ?? one.service_id), ...states.map(String)];
}

export function hooks(options: UseVaultOptions & UseConnectionsOptions): [UseVault, UseConnections] {
  const vault = useVault({ baseUrl, token: getToken });
  const onClick: (event: MouseEvent) => unknown = () => vault.open({ return_to: null });
  // @ts-expect-error - the event of a click is not a request
  const wrong: (event: MouseEvent) => unknown = vault.open;
  // @ts-expect-error - the hook has its own signal
  useVault({ token: getToken, signal: AbortSignal.abort() });
  const { connections, error, loading, refresh } = useConnections({ token: getToken });
  if (loading || onClick === wrong) refresh();
  // @ts-expect-error - there is no list until it has been loaded
  connections.map(String);
  if (error?.type === "rate-limited") error.status satisfies 429;
  return [useVault(options), useConnections(options)];
}

// @ts-expect-error - a page cannot choose the consumer
export const anothers: ListConnectionsOptions = { token: "abc", consumerId: "acme" };
// @ts-expect-error - a connection that is read has no credentials
export const secret = (one: VaultConnection): unknown => one.settings;

// Tests of a web application can construct errors.
export const down = new VaultError(
  { type: "rate-limited", detail: "Later.", request_id: "1", errors: [] },
  { status: 429, retryAfter: 3, cause: "test" },
);

// @ts-expect-error - a call needs a token or cookies
export const nothing: VaultSessionOptions = {};
// @ts-expect-error - the service rejects two credentials
export const both: VaultSessionOptions = { token: "abc", credentials: "include" };
// @ts-expect-error - without this option no cookies are sent, so "omit" is not a value
export const omitted: VaultSessionOptions = { credentials: "omit" };
// @ts-expect-error - a page cannot choose the consumer
export const foreign: VaultSessionRequest = { consumer_id: "acme" };
// @ts-expect-error - a connection needs both ids
export const half: VaultSessionRequest = { connection: { unified_api: "accounting" } };
