// React hooks for Vault BFF. react.d.ts has types and docs.

import { useCallback, useEffect, useRef, useState } from "react";
import { VaultError, listConnections, openVault } from "./index.js";

const IDLE = { busy: false, error: undefined };

export function useVault(options) {
  const latest = useLatest(options);
  const opening = useRef(null);
  const [state, setState] = useState(IDLE);

  const reset = useCallback(() => {
    opening.current?.abort();
    opening.current = null;
    setState(IDLE);
  }, []);
  useEffect(() => reset, [reset]);
  useRestored(reset);

  const open = useCallback(
    async (request) => {
      if (opening.current) return;
      opening.current = new AbortController();
      const { signal } = opening.current;
      setState({ busy: true, error: undefined });
      try {
        await openVault({ ...latest.current, request, signal });
        // It stays busy while the browser leaves the page.
      } catch (error) {
        if (signal.aborted) return;
        reset();
        if (!(error instanceof VaultError)) throw error;
        setState({ busy: false, error });
      }
    },
    [latest, reset],
  );

  return { open, ...state };
}

export function useConnections(options) {
  const latest = useLatest(options);
  const [round, setRound] = useState(0);
  const [known, setKnown] = useState({});
  const refresh = useCallback(() => setRound((count) => count + 1), []);
  useRestored(refresh);

  const { baseUrl, credentials, unifiedApi, configured, token } = options;
  const fixedToken = typeof token === "function" ? undefined : token;
  const list = JSON.stringify([baseUrl, credentials, unifiedApi, configured, fixedToken]);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    listConnections({ ...latest.current, signal }).then(
      (connections) => setKnown({ list, round, connections }),
      (error) => {
        if (!signal.aborted) {
          setKnown((before) => ({ ...(before.list === list && before), list, round, error }));
        }
      },
    );
    return () => controller.abort();
  }, [latest, list, round]);

  // What is known of another list, such as another user's, is not shown.
  const { connections, error } = known.list === list ? known : {};
  const loading = known.list !== list || known.round !== round;
  if (error && !(error instanceof VaultError)) throw error; // to the error boundary
  return { connections, error: loading ? undefined : error, loading, refresh };
}

/** Returns a reference to the value of the latest render. */
function useLatest(value) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** Calls a function when the browser's Back button restores the page as the user left it. */
function useRestored(callback) {
  useEffect(() => {
    const onPageShow = (event) => event.persisted && callback();
    addEventListener("pageshow", onPageShow);
    return () => removeEventListener("pageshow", onPageShow);
  }, [callback]);
}
