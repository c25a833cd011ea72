import type {
  ListConnectionsOptions,
  VaultConnection,
  VaultError,
  VaultOptions,
  VaultSessionRequest,
} from "./index.js";

/** What `useVault` takes. */
export type UseVaultOptions = VaultOptions & {
  signal?: undefined;
  /** The header that protects cookies from forged requests; by default `X-Vault-Session`. */
  csrfHeader?: string | undefined;
};

/** What `useVault` returns. */
export interface UseVault {
  /**
   * Opens the Vault. A call while it is busy does nothing. A problem is in `error`; the promise is
   * rejected only with an error of your `token` function.
   */
  open: (request?: VaultSessionRequest) => Promise<void>;
  /** Whether the Vault is being opened. It stays true while the browser leaves the page. */
  busy: boolean;
  /** Why the last call failed, until the next one. */
  error: VaultError | undefined;
}

/** Opens the Vault from a component. If the component is removed, it does not open any more. */
export function useVault(options: UseVaultOptions): UseVault;

/** What `useConnections` takes. */
export type UseConnectionsOptions = ListConnectionsOptions & { signal?: undefined };

/** What `useConnections` returns. */
export interface UseConnections {
  /** The list; undefined until it has been loaded. It stays while it is loaded again. */
  connections: VaultConnection[] | undefined;
  /** Why it could not be loaded. */
  error: VaultError | undefined;
  /** Whether it is being loaded. */
  loading: boolean;
  /** Loads the list again. */
  refresh: () => void;
}

/**
 * Lists connections when the component appears, when an option changes, and when the Back button
 * returns to the page. Components with the same options, token included,
 * share a request. With cookies each sends its own.
 *
 * A new `token` function does not load the list again. If another user can sign in while the
 * component stays, give the component a `key` of the user. An error of your `token` function is
 * thrown to the closest error boundary.
 */
export function useConnections(options: UseConnectionsOptions): UseConnections;
