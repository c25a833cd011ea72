/** The body of the request. The operator's policy decides which fields you may set. */
export interface VaultSessionRequest {
  /** Name of a redirect target that the operator has registered; null for none, when embedding. */
  return_to?: string | null;
  /** A registered redirect URI, byte for byte; not together with `return_to`. */
  redirect_uri?: string;
  /** Opens this connector directly. */
  connection?: { unified_api: string; service_id: string };
  /** Apideck's own fields, under Apideck's own names. */
  settings?: Record<string, unknown>;
  theme?: Record<string, unknown>;
  custom_consumer_settings?: Record<string, unknown>;
}

/** Options. Set either `token`, or `credentials` for the session cookie of your web application. */
export interface VaultSessionOptions {
  /** The URL of the endpoint; the default is `/vault-session`. */
  url?: string;
  /** The body of the request; by default empty, which means the operator's defaults. */
  request?: VaultSessionRequest;
  /** The user's access token. Without one, and without `credentials`, the response is a 401. */
  token?: string | null;
  /** Sends cookies instead of a token, and the header that protects against CSRF. */
  credentials?: "include" | "same-origin";
  /** The name of that header; the default is `X-Vault-Session`. */
  csrfHeader?: string;
}

/** A Vault session. Treat it like a password: keep it in memory, never in storage. */
export interface VaultSession {
  /** The URL to send the browser to, as a top-level navigation. */
  redirect_url: string;
  /** The token for embedding: `ApideckVault.open({ token: session_token })`. */
  session_token: string;
  /** When the session expires, in UTC: `2026-01-31T12:00:00Z`. */
  expires_at: string;
}

/** A request that failed, with the problem that the service sent (RFC 9457). */
export class VaultSessionError extends Error {
  /** Takes a problem as the service sends it, and data about the response. */
  constructor(
    problem: {
      type?: string;
      detail?: string;
      request_id?: string;
      errors?: { pointer: string; detail: string }[];
    },
    context?: { status?: number; retryAfter?: number; cause?: unknown },
  );
  /**
   * The last segment of the problem's type, such as `rate-limited`; `network` if there was no
   * response; `unexpected-response` if it is not from the service.
   */
  readonly type: string;
  /** The HTTP status; 0 for `network`. */
  readonly status: number;
  /** A sentence for the user; the same as `message`. */
  readonly detail: string;
  /** The id of the request in the operator's log. */
  readonly requestId?: string;
  /** The invalid fields, each with a JSON Pointer (RFC 6901) into the request. */
  readonly errors: readonly { pointer: string; detail: string }[];
  /** Seconds to wait before a retry, if the service sent Retry-After. */
  readonly retryAfter?: number;
}

/**
 * Creates a session, for `ApideckVault.open({ token: session_token })`.
 *
 * While a call is pending, another call with the same options gets the same promise. If Retry-After
 * is at most five seconds, the call waits and retries once. A request times out after 30 seconds.
 *
 * @throws {VaultSessionError}
 */
export function createVaultSession(options?: VaultSessionOptions): Promise<VaultSession>;

/**
 * Creates a session and navigates to it. The Vault forbids framing, so the browser leaves your page.
 *
 * @throws {VaultSessionError}
 */
export function openVault(options?: VaultSessionOptions): Promise<void>;

/** Options. Set either `token`, or `credentials` for the session cookie of your web application. */
export interface ConnectionsOptions {
  /** The URL of the endpoint; the default is `/vault-connections`. */
  url?: string;
  /** The user's access token. Without one, and without `credentials`, the response is a 401. */
  token?: string | null;
  /** Sends cookies instead of a token. */
  credentials?: "include" | "same-origin";
}

/** Options of a list, which has every connector unless they restrict it. */
export interface ListConnectionsOptions extends ConnectionsOptions {
  /** The only unified API to list, such as `accounting`. */
  unifiedApi?: string;
  /** Whether to list what is connected, or what is not; absent lists both. */
  configured?: boolean;
}

/**
 * A connector, and whether the user's organization has connected it. A field that Apideck did not
 * send is absent. Apideck may add values: treat one that you do not know as "not usable".
 */
export interface VaultConnection {
  /** The unified API, such as `accounting`. */
  unified_api: string;
  /** The connector, such as `quickbooks`. */
  service_id: string;
  /** Apideck's id of the connection. */
  id?: string;
  /** The connector's name. */
  name?: string;
  /** The connector in a sentence. */
  tag_line?: string;
  /** The connector's website. */
  website?: string;
  /** URL of a small picture. */
  icon?: string;
  /** URL of a large picture. */
  logo?: string;
  /** Only a connection that is `callable` can be used. */
  state?: "available" | "added" | "authorized" | "callable" | "invalid" | (string & {});
  /** Whether the operator has set up the connector. */
  integration_state?: "disabled" | "needs_configuration" | "configured" | (string & {});
  /** What is wrong with the connection; `ok` if nothing is. */
  health?:
    | "ok"
    | "pending_refresh"
    | "needs_auth"
    | "pending_confirmation"
    | "needs_consent"
    | "revoked"
    | "missing_settings"
    | "degraded"
    | (string & {});
  /** How the connector authorizes. */
  auth_type?: string;
  /** Whether Apideck offers the connector: `live`, `upcoming` or `requested`. */
  status?: string;
  /** Whether the connection is switched on. */
  enabled?: boolean;
  /** Whether the customer has consented to the use of their data. */
  consent_state?: string;
  /** When the connection was created, in milliseconds since 1970. */
  created_at?: number;
  /** When the connection was last changed, in milliseconds since 1970. */
  updated_at?: number;
}

/**
 * Lists the connectors on offer, and which of them the user's organization has connected.
 *
 * Each call costs the operator a request to Apideck: call it when a page opens or the user returns,
 * and do not poll. A second call with the same options gets the promise of the pending one.
 *
 * @throws {VaultSessionError}
 */
export function listConnections(options?: ListConnectionsOptions): Promise<VaultConnection[]>;

/**
 * Returns one connector, and whether the user's organization has connected it.
 *
 * @throws {VaultSessionError} Its type is `connection-not-found` if there is no such connector.
 */
export function getConnection(
  unifiedApi: string,
  serviceId: string,
  options?: ConnectionsOptions,
): Promise<VaultConnection>;
