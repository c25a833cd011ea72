import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { createVaultSession, openVault } from "../../clients/javascript/index.js";
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
  const { origin: baseUrl, requests } = await serve(t, created());

  const session = await createVaultSession({ baseUrl, token: "abc" });

  assert.deepEqual(session, SESSION);
  assert.equal(requests[0].method, "POST");
  assert.equal(requests[0].headers.authorization, "Bearer abc");
  assert.equal(requests[0].headers["content-type"], "application/json");
  assert.equal(requests[0].headers["x-vault-session"], undefined);
  assert.equal(requests[0].body, "{}");
});

test("The body has all fields of the request, null included.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const connection = { unified_api: "accounting", service_id: "xero" };

  await createVaultSession({ baseUrl, token: "abc", request: { return_to: null, connection } });

  assert.deepEqual(JSON.parse(requests[0].body), { return_to: null, connection });
});

test("With cookies the request has the CSRF header and no bearer token.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const calls = recordFetch(t);

  await createVaultSession({ baseUrl, credentials: "include" });

  assert.equal(calls[0].credentials, "include");
  assert.equal(requests[0].headers["x-vault-session"], "1");
  assert.equal(requests[0].headers.authorization, undefined);
});

test("The CSRF header can have another name.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());

  await createVaultSession({ baseUrl, credentials: "include", csrfHeader: "X-CSRF" });

  assert.equal(requests[0].headers["x-csrf"], "1");
  assert.equal(requests[0].headers["x-vault-session"], undefined);
});

test("With a token no cookies are sent, because the service rejects two credentials.", async (t) => {
  const { origin: baseUrl } = await serve(t, created());
  const calls = recordFetch(t);

  await createVaultSession({ baseUrl, token: "abc" });

  assert.equal(calls[0].credentials, "omit");
});

test("Without a token the request has no credential, and no cookie either.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, problem(401, "unauthenticated"));
  const calls = recordFetch(t);

  for (const token of [undefined, null, ""]) {
    await assert.rejects(createVaultSession({ baseUrl, token }), { type: "unauthenticated" });
  }

  for (const { headers } of requests) assert.equal(headers.authorization, undefined);
  for (const { credentials } of calls) assert.equal(credentials, "omit");
});

test("A redirect is not followed, so that a token goes to the service only.", async (t) => {
  const elsewhere = await serve(t, created());
  const redirect = { status: 307, headers: { Location: `${elsewhere.origin}/vault-session` } };
  const { origin: baseUrl } = await serve(t, redirect);

  await assert.rejects(createVaultSession({ baseUrl, token: "abc" }), { type: "network" });

  assert.deepEqual(elsewhere.requests, []);
});

test("The URL of the service may have a path, and a slash at its end.", async (t) => {
  const { origin, requests } = await serve(t, created());

  await createVaultSession({ baseUrl: `${origin}/vault/`, token: "abc" });

  assert.equal(requests[0].url, "/vault/vault-session");
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

test("A second click while the first is pending shares its request.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const request = { return_to: "settings" };
  const click = () => createVaultSession({ baseUrl, token: async () => "abc", request });

  assert.deepEqual(await Promise.all([click(), click()]), [SESSION, SESSION]);

  assert.equal(requests.length, 1);
  await click();
  assert.equal(requests.length, 2);
});

test("After a failure the next click sends a new request.", async (t) => {
  const { origin: baseUrl } = await serve(t, problem(403, "missing-claim"), created());

  await assert.rejects(createVaultSession({ baseUrl, token: "abc" }), { type: "missing-claim" });

  assert.deepEqual(await createVaultSession({ baseUrl, token: "abc" }), SESSION);
});

test("Calls of two users, or for two connectors, are not shared.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const connection = { unified_api: "crm", service_id: "hubspot" };

  await Promise.all([
    createVaultSession({ baseUrl, token: "ada" }),
    createVaultSession({ baseUrl, token: "otto" }),
    createVaultSession({ baseUrl, token: "ada", request: { connection } }),
  ]);

  const callers = requests.map(({ headers }) => headers.authorization).sort();
  assert.deepEqual(callers, ["Bearer ada", "Bearer ada", "Bearer otto"]);
});

test("Calls with cookies are not shared: the user of the cookie may have changed.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const call = () => createVaultSession({ baseUrl, credentials: "include" });

  await Promise.all([call(), call()]);

  assert.equal(requests.length, 2);
});

/** Records the navigations of the page during one test. */
function recordLocation(t) {
  const visited = [];
  globalThis.location = { assign: (target) => visited.push(target) };
  t.after(() => delete globalThis.location);
  return visited;
}

test("Opening the Vault navigates to the redirect URL.", async (t) => {
  const { origin: baseUrl } = await serve(t, created());
  const visited = recordLocation(t);

  await openVault({ baseUrl, token: "abc" });

  assert.deepEqual(visited, [SESSION.redirect_url]);
});

test("Without a session the page does not navigate.", async (t) => {
  const { origin: baseUrl } = await serve(t, problem(403, "missing-claim"));
  const visited = recordLocation(t);

  await assert.rejects(openVault({ baseUrl, token: "abc" }), { type: "missing-claim" });

  assert.deepEqual(visited, []);
});

test("The module is smaller than three kilobytes after gzip.", async () => {
  const path = "../../clients/javascript/index.js";
  const { length } = gzipSync(await readFile(new URL(path, import.meta.url)));

  assert.ok(length < 3000, `${length} bytes`);
});
