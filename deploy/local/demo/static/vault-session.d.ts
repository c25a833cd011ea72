/** What a session may be asked for. The operator's policy decides which of it you may set. */
export interface VaultSessionRequest {
  /** Name of a redirect target that the operator registered; null: no way back, for embedding. */
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

/** How to ask. Give either `token`, or `credentials` for your application's session cookie. */
export interface VaultSessionOptions {
  /** Where Vault BFF listens; `/vault-session` unless given. */
  url?: string;
  /** What to ask for; nothing unless given, which is the operator's defaults. */
  request?: VaultSessionRequest;
  /** The caller's access token. Without one, and without `credentials`, the answer is a 401. */
  token?: string | null;
  /** Sends cookies instead of a token, and the header that marks the request as your page's. */
  credentials?: "include" | "same-origin";
  /** That header's name; `X-Vault-Session` unless the operator changed it. */
  csrfHeader?: string;
}

/** The way into the Vault. Treat it as a password: keep it in memory, never in storage. */
export interface VaultSession {
  /** Where to send the browser, as a top-level navigation. */
  redirect_url: string;
  /** The same session for embedding: `ApideckVault.open({ token: session_token })`. */
  session_token: string;
  /** When it ends, in UTC: `2026-01-31T12:00:00Z`. */
  expires_at: string;
}

/** Why there is no session (RFC 9457). */
export class VaultSessionError extends Error {
  /** Takes a problem as the service sends it, and what is known besides. */
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
   * The last segment of the problem's type, as `rate-limited`; `network` when no answer arrived;
   * `unexpected-response` when it was not the service that answered.
   */
  readonly type: string;
  /** The HTTP status; 0 for `network`. */
  readonly status: number;
  /** A sentence for the person; the `message`, too. */
  readonly detail: string;
  /** What finds the request in the operator's log. */
  readonly requestId?: string;
  /** What is wrong with which field, by a JSON Pointer (RFC 6901) into the request. */
  readonly errors: readonly { pointer: string; detail: string }[];
  /** Seconds after which to try again, where the service said so. */
  readonly retryAfter?: number;
}

/**
 * Asks for a session, for `ApideckVault.open({ token: session_token })`.
 *
 * While a call is under way, another with the same options gets the same promise. Where
 * the service says by Retry-After that it wants at most five seconds, it waits and asks once more.
 * A request that is not answered within 30 seconds is given up.
 *
 * @throws {VaultSessionError}
 */
export function createVaultSession(options?: VaultSessionOptions): Promise<VaultSession>;

/**
 * Asks for a session and goes there. The Vault forbids framing, so this leaves your page.
 *
 * @throws {VaultSessionError}
 */
export function openVault(options?: VaultSessionOptions): Promise<void>;
