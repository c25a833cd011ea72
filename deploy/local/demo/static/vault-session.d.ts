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
