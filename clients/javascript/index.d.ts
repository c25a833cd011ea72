/**
 * Returns the user's access token; without one, the user is signed out.
 *
 * It is called for each request, so return the token that you have. If the service rejects that
 * token, it is called once more, with `renew`: then get a new one.
 */
export type GetToken = (renew: boolean) => MaybeToken | Promise<MaybeToken>;

type MaybeToken = string | null | undefined;

/** How the service identifies the user: by an access token, or by your application's cookie. */
export type VaultCredential =
  | {
      /** The user's access token, or a function that returns it. Cookies are not sent. */
      token: MaybeToken | GetToken;
      credentials?: undefined;
    }
  | {
      /** Sends cookies and no token: `include` also to another origin than the page's. */
      credentials: "include" | "same-origin";
      token?: undefined;
    };

/** What every call takes. */
export type VaultOptions = VaultCredential & {
  /** The URL of the service. By default it is on the page's own origin. */
  baseUrl?: string | undefined;
  /** Cancels the call: its promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
};

/** The body of a request for a session. The operator's policy decides which fields you may set. */
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

/** What a call for a session takes. */
export type VaultSessionOptions = VaultOptions & {
  /** The body of the request; by default empty, which means the operator's defaults. */
  request?: VaultSessionRequest | undefined;
  /** The header that protects cookies from forged requests; by default `X-Vault-Session`. */
  csrfHeader?: string | undefined;
};

/** A Vault session. Treat it like a password: keep it in memory, never in storage. */
export interface VaultSession {
  /** The URL to send the browser to, as a top-level navigation. */
  redirect_url: string;
  /** The token for embedding: `ApideckVault.open({ token: session_token })`. */
  session_token: string;
  /** When the session expires, in UTC: `2026-01-31T12:00:00Z`. */
  expires_at: string;
}

/** The status of each problem type of the service. */
export interface ProblemStatuses {
  "ambiguous-credentials": 400;
  "apideck-invalid-response": 502;
  "apideck-misconfigured": 502;
  "apideck-quota-exhausted": 503;
  "apideck-rate-limited": 503;
  "apideck-rejected-request": 422 | 502;
  "apideck-timeout": 504;
  "apideck-unavailable": 503;
  "bad-request": 400;
  "body-too-large": 413;
  "connection-not-found": 404;
  "consumer-not-granted": 403;
  "field-not-permitted": 403;
  "forbidden-origin": 403;
  "headers-too-large": 431;
  "identity-provider-unavailable": 503;
  "insufficient-scope": 403;
  "internal-error": 500;
  "invalid-event": 422;
  "invalid-request": 422;
  "invalid-signature": 401;
  "method-not-allowed": 405;
  "misdirected-request": 421;
  "missing-claim": 403;
  "not-found": 404;
  overloaded: 503;
  "rate-limited": 429;
  "redirect-not-allowed": 403;
  "request-timeout": 408;
  "shutting-down": 503;
  "stale-event": 422;
  unauthenticated: 401;
  "unsupported-media-type": 415;
  "webhook-target-failed": 502;
  "webhook-target-timeout": 504;
}

/** An invalid field of a request. */
export interface FieldError {
  /** The field, as a JSON Pointer (RFC 6901) into the request. */
  pointer: string;
  /** What is wrong with it, for the developer. */
  detail: string;
}

interface ProblemOf<Type extends string, Status extends number> {
  /** The last segment of the problem's type. A later version of the service may add types. */
  readonly type: Type;
  /** The HTTP status of the response; 0 if there was none. */
  readonly status: Status;
  /** A sentence for the user; the same as `message`. */
  readonly detail: string;
  /** The id of the request in the operator's log. */
  readonly requestId?: string;
  /** The invalid fields; empty for most types. */
  readonly errors: readonly FieldError[];
  /** Seconds to wait before a retry, if the service knows. */
  readonly retryAfter?: number;
}

/** Why a request failed (RFC 9457): `type` distinguishes the members of this union. */
export type Problem =
  | { [Type in keyof ProblemStatuses]: ProblemOf<Type, ProblemStatuses[Type]> }[keyof ProblemStatuses]
  /** There was no response, or none within 30 seconds; or no token within 30 seconds. */
  | ProblemOf<"network", 0>
  /** The response is not from the service, but for example from a proxy. */
  | ProblemOf<"unexpected-response", number>
  /** The service has no more to say than the status. */
  | ProblemOf<"about:blank", number>;

/** A request that failed: an `Error` that has the members of the problem. */
export type VaultError = Error & Problem;

export const VaultError: {
  readonly prototype: VaultError;
  /** Takes a problem as the service sends it, and data about the response. */
  new (
    problem: { type?: string; detail?: string; request_id?: string | null; errors?: FieldError[] },
    context?: { status?: number; retryAfter?: number; cause?: unknown },
  ): VaultError;
};

/**
 * Creates a session and navigates to it. The Vault forbids framing, so the browser leaves your page.
 *
 * This and the other calls share these rules:
 *
 * - While a call is in flight, an equal call with the same token shares its request. Calls with
 *   cookies do not: the cookie may have become another user's.
 * - If the response has a `Retry-After` of at most five seconds, the call waits and retries once.
 * - A request ends after 30 seconds, and so does a wait for your `token` function.
 *
 * @throws {VaultError} if the request fails; errors of your `token` function are passed on.
 */
export function openVault(options: VaultSessionOptions): Promise<void>;

/**
 * Creates a session, for `ApideckVault.open({ token: session_token })`.
 *
 * @throws {VaultError} as `openVault` does.
 */
export function createVaultSession(options: VaultSessionOptions): Promise<VaultSession>;

/** What a list takes; it has every connector unless these restrict it. */
export type ListConnectionsOptions = VaultOptions & {
  /** The only unified API to list, such as `accounting`. */
  unifiedApi?: string | undefined;
  /** Whether to list what is connected, or what is not; absent lists both. */
  configured?: boolean | undefined;
};

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
 * and do not poll.
 *
 * @throws {VaultError} as `openVault` does.
 */
export function listConnections(options: ListConnectionsOptions): Promise<VaultConnection[]>;

/**
 * Returns one connector, and whether the user's organization has connected it.
 *
 * @throws {VaultError} Its type is `connection-not-found` if there is no such connector.
 */
export function getConnection(
  unifiedApi: string,
  serviceId: string,
  options: VaultOptions,
): Promise<VaultConnection>;
