import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { test } from "node:test";

import { createVaultSession, openVault } from "../../deploy/local/demo/static/vault-session.js";
import { SESSION, created, problem, serve } from "./service.mjs";

/** Records the calls of `fetch` during one test, and forwards them. */
function recordFetch(t) {
  const calls = [];
  const real = globalThis.fetch;
  globalThis.fetch = (url, init) => {
    calls.push({ url, ...init });
    return real(url, init);
  };
  t.after(() => {
    globalThis.fetch = real;
  });
  return calls;
}

test("A token is sent as a bearer token, and the session is returned unchanged.", async (t) => {
  const { url, requests } = await serve(t, created());

  const session = await createVaultSession({ url, token: "abc" });

  assert.deepEqual(session, SESSION);
  assert.equal(requests[0].method, "POST");
  assert.equal(requests[0].headers.authorization, "Bearer abc");
  assert.equal(requests[0].headers["content-type"], "application/json");
  assert.equal(requests[0].headers["x-vault-session"], undefined);
  assert.equal(requests[0].body, "{}");
});

test("The body has all fields of the request, null included.", async (t) => {
  const { url, requests } = await serve(t, created());
  const connection = { unified_api: "accounting", service_id: "xero" };

  await createVaultSession({ url, token: "abc", request: { return_to: null, connection } });

  assert.deepEqual(JSON.parse(requests[0].body), { return_to: null, connection });
});

test("With cookies the request has the CSRF header and no bearer token.", async (t) => {
  const { url, requests } = await serve(t, created());
  const calls = recordFetch(t);

  await createVaultSession({ url, credentials: "include" });

  assert.equal(calls[0].credentials, "include");
  assert.equal(requests[0].headers["x-vault-session"], "1");
  assert.equal(requests[0].headers.authorization, undefined);
});

test("The CSRF header can have another name.", async (t) => {
  const { url, requests } = await serve(t, created());

  await createVaultSession({ url, credentials: "include", csrfHeader: "X-CSRF" });

  assert.equal(requests[0].headers["x-csrf"], "1");
  assert.equal(requests[0].headers["x-vault-session"], undefined);
});

test("With a token no cookies are sent, because the service rejects two credentials.", async (t) => {
  const { url } = await serve(t, created());
  const calls = recordFetch(t);

  await createVaultSession({ url, token: "abc" });

  assert.equal(calls[0].credentials, "omit");
});

test("Without a token the request has no credential, and no cookie either.", async (t) => {
  const { url, requests } = await serve(t, problem(401, "unauthenticated"));
  const calls = recordFetch(t);

  for (const token of [undefined, null, ""]) {
    await assert.rejects(createVaultSession({ url, token }), { type: "unauthenticated" });
  }

  for (const { headers } of requests) assert.equal(headers.authorization, undefined);
  for (const { credentials } of calls) assert.equal(credentials, "omit");
});

test("The default URL is on the page's own origin.", async (t) => {
  const urls = [];
  const real = globalThis.fetch;
  globalThis.fetch = async (url) => {
    urls.push(url);
    return new Response(created().body, { status: 201 });
  };
  t.after(() => {
    globalThis.fetch = real;
  });

  await createVaultSession({ token: "abc" });

  assert.deepEqual(urls, ["/vault-session"]);
});

test("A second click while the first is pending gets the same promise.", async (t) => {
  const { url, requests } = await serve(t, created());
  const click = () => createVaultSession({ url, token: "abc", request: { return_to: "settings" } });

  const [first, second] = [click(), click()];

  assert.equal(first, second);
  await first;
  assert.equal(requests.length, 1);
  await click();
  assert.equal(requests.length, 2);
});

test("After a failure the next click sends a new request.", async (t) => {
  const { url } = await serve(t, problem(403, "missing-claim"), created());

  await assert.rejects(createVaultSession({ url, token: "abc" }), { type: "missing-claim" });

  assert.deepEqual(await createVaultSession({ url, token: "abc" }), SESSION);
});

test("Calls of two users, or for two connectors, are not shared.", async (t) => {
  const { url, requests } = await serve(t, created());
  const connection = { unified_api: "crm", service_id: "hubspot" };

  await Promise.all([
    createVaultSession({ url, token: "ada" }),
    createVaultSession({ url, token: "otto" }),
    createVaultSession({ url, token: "ada", request: { connection } }),
  ]);

  const callers = requests.map(({ headers }) => headers.authorization).sort();
  assert.deepEqual(callers, ["Bearer ada", "Bearer ada", "Bearer otto"]);
});

/** Records the navigations of the page during one test. */
function recordLocation(t) {
  const visited = [];
  globalThis.location = { assign: (target) => visited.push(target) };
  t.after(() => delete globalThis.location);
  return visited;
}

test("Opening the Vault navigates to the redirect URL.", async (t) => {
  const { url } = await serve(t, created());
  const visited = recordLocation(t);

  await openVault({ url, token: "abc" });

  assert.deepEqual(visited, [SESSION.redirect_url]);
});

test("Without a session the page does not navigate.", async (t) => {
  const { url } = await serve(t, problem(403, "missing-claim"));
  const visited = recordLocation(t);

  await assert.rejects(openVault({ url, token: "abc" }), { type: "missing-claim" });

  assert.deepEqual(visited, []);
});

test("The module has less than three kilobytes, comments included.", async () => {
  const path = "../../deploy/local/demo/static/vault-session.js";
  const { size } = await stat(new URL(path, import.meta.url));

  assert.ok(size < 3000, `${size} bytes`);
});
