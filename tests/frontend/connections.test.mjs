import assert from "node:assert/strict";
import { test } from "node:test";

import {
  VaultError,
  getConnection,
  listConnections,
} from "../../clients/javascript/index.js";
import { problem, serve, skipTimers } from "./service.mjs";

const XERO = { unified_api: "accounting", service_id: "xero", state: "callable" };

function ok(body) {
  return {
    status: 200,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
}

test("A list is a GET with the token, and its connections are returned.", async (t) => {
  const { origin, requests } = await serve(t, ok({ connections: [XERO] }));

  const listed = await listConnections({ baseUrl: origin, token: "abc" });

  assert.deepEqual(listed, [XERO]);
  assert.equal(requests[0].method, "GET");
  assert.equal(requests[0].url, "/vault-connections");
  assert.equal(requests[0].headers.authorization, "Bearer abc");
  assert.equal(requests[0].headers["x-vault-session"], undefined);
});

test("An empty list is returned as an empty array.", async (t) => {
  const { origin } = await serve(t, ok({ connections: [] }));

  assert.deepEqual(await listConnections({ baseUrl: origin, token: "abc" }), []);
});

test("A list can be filtered by unified API and by whether a connector is connected.", async (t) => {
  const { origin, requests } = await serve(t, ok({ connections: [] }));

  await listConnections({ baseUrl: origin, token: "abc", unifiedApi: "crm", configured: false });
  await listConnections({ baseUrl: origin, token: "abc", unifiedApi: "a&b=c" });

  assert.equal(requests[0].url, "/vault-connections?unified_api=crm&configured=false");
  assert.equal(requests[1].url, "/vault-connections?unified_api=a%26b%3Dc");
});

test("With cookies a list has no token and no CSRF header.", async (t) => {
  const { origin, requests } = await serve(t, ok(XERO));

  await getConnection("accounting", "xero", { baseUrl: origin, credentials: "include" });

  assert.equal(requests[0].headers.authorization, undefined);
  assert.equal(requests[0].headers["x-vault-session"], undefined);
});

test("One connection is requested by its ids, which are encoded as path segments.", async (t) => {
  const { origin, requests } = await serve(t, ok(XERO));

  assert.deepEqual(await getConnection("accounting", "xero", { baseUrl: origin, token: "abc" }), XERO);
  await getConnection("accounting", "a/../b?c#d", { baseUrl: origin, token: "abc" });

  assert.equal(requests[0].url, "/vault-connections/accounting/xero");
  assert.equal(requests[1].url, "/vault-connections/accounting/a%2F..%2Fb%3Fc%23d");
});

test("An id that would change the path is an error, and no request is sent.", async (t) => {
  const { origin, requests } = await serve(t, ok(XERO));

  for (const [unifiedApi, serviceId] of [["..", "livez"], ["accounting", "."], ["", "xero"]]) {
    const call = getConnection(unifiedApi, serviceId, { baseUrl: origin, token: "abc" });
    await assert.rejects(call, { name: "VaultError", type: "connection-not-found", status: 404 });
  }

  assert.deepEqual(requests, []);
});

test("A connector that does not exist is an error with the problem's type.", async (t) => {
  const { origin } = await serve(t, problem(404, "connection-not-found", { detail: "None." }));

  const error = await getConnection("a", "b", { baseUrl: origin, token: "abc" }).catch((error) => error);

  assert.ok(error instanceof VaultError);
  assert.deepEqual([error.type, error.status, error.detail], ["connection-not-found", 404, "None."]);
});

test("A 200 that is not from the service is an error.", async (t) => {
  const { origin } = await serve(t, ok({ hello: "proxy" }));

  for (const call of [listConnections({ baseUrl: origin, token: "abc" }), getConnection("a", "b", { baseUrl: origin, token: "abc" })]) {
    await assert.rejects(call, { type: "unexpected-response", status: 200 });
  }
});

test("Two identical concurrent calls share a request; a list and a connection do not.", async (t) => {
  const { origin, requests } = await serve(t, ok({ connections: [], ...XERO }));
  const options = { baseUrl: origin, token: "abc" };

  await Promise.all([
    listConnections(options),
    listConnections(options),
    getConnection("accounting", "xero", options),
    getConnection("accounting", "xero", options),
  ]);

  assert.equal(requests.length, 2);
});

test("After a short Retry-After the module retries once.", async (t) => {
  skipTimers(t, 1000);
  const later = problem(503, "overloaded", { headers: { "Retry-After": "1" } });
  const { origin, requests } = await serve(t, later, ok({ connections: [XERO] }));

  assert.deepEqual(await listConnections({ baseUrl: origin, token: "abc" }), [XERO]);
  assert.equal(requests.length, 2);
});
