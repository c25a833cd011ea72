import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import {
  VaultError,
  createVaultSession,
} from "../../clients/javascript/index.js";
import { SESSION, created, problem, serve, skipTimers } from "./service.mjs";

const RATE_LIMITED = (retryAfter) =>
  problem(429, "rate-limited", { headers: { "Retry-After": retryAfter } });

/** Returns the error that a call throws. */
async function failureOf(options) {
  const error = await createVaultSession({ token: "abc", ...options }).then(
    () => assert.fail("the call should have failed"),
    (reason) => reason,
  );
  assert.ok(error instanceof VaultError);
  return error;
}

test("A problem becomes an error with all members of the problem.", async (t) => {
  const errors = [{ pointer: "/theme", detail: "You may not set this." }];
  const detail = "The request sets fields that you may not set.";
  const response = problem(403, "field-not-permitted", { detail, request_id: "r-1", errors });
  const { origin: baseUrl } = await serve(t, response);

  const error = await failureOf({ baseUrl });

  assert.equal(error.type, "field-not-permitted");
  assert.equal(error.status, 403);
  assert.equal(error.detail, detail);
  assert.equal(error.message, detail);
  assert.equal(error.requestId, "r-1");
  assert.deepEqual(error.errors, errors);
  assert.equal(error.retryAfter, undefined);
  assert.equal(error.name, "VaultError");
  assert.ok(error instanceof Error);
});

test("A relative type URI results in the same type as an absolute one.", async (t) => {
  const body = JSON.stringify({ type: "/problems/not-found", detail: "No." });
  const headers = { "Content-Type": "application/problem+json" };
  const { origin: baseUrl } = await serve(t, { status: 404, headers, body });

  assert.equal((await failureOf({ baseUrl })).type, "not-found");
});

test("If no server listens, the error has the type network and a message for the user.", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  server.close();
  await once(server, "close");

  const error = await failureOf({ baseUrl });

  assert.equal(error.type, "network");
  assert.equal(error.status, 0);
  assert.match(error.detail, /cannot be reached/);
  assert.ok(error.cause instanceof Error);
});

test("A service that never responds is a network failure.", async (t) => {
  const { origin: baseUrl } = await serve(t, "silence");

  const skipped = skipTimers(t, 30_000);

  assert.equal((await failureOf({ baseUrl })).type, "network");
  assert.deepEqual(skipped, [30_000]);
});

test("A response that ends early is a network failure.", async (t) => {
  const { origin: baseUrl } = await serve(t, "half");

  assert.equal((await failureOf({ baseUrl })).type, "network");
});

for (const [name, status, body] of [
  ["the page of a proxy", 502, "<h1>Bad Gateway</h1>"],
  ["a sign-in page", 200, "<h1>Sign in</h1>"],
  ["empty", 503, ""],
  ["JSON null", 500, "null"],
  ["a JSON string", 500, '"no"'],
  ["JSON without a session", 200, "{}"],
  ["a problem of another server, which is not a problem by its media type", 500, '{"detail":"x"}'],
  ["a session with a script as its URL", 201, '{"redirect_url":"javascript:alert(1)"}'],
  ["a session with data as its URL", 201, '{"redirect_url":"data:text/html,x"}'],
  ["a session with an unencrypted URL", 201, '{"redirect_url":"http://vault.example/"}'],
  ["a session that only resembles loopback", 201, '{"redirect_url":"http://localhost.evil/"}'],
  ["a session with a relative URL", 201, '{"redirect_url":"/vault"}'],
]) {
  test(`A response that is ${name} is an error with a message for the user.`, async (t) => {
    const { origin: baseUrl } = await serve(t, { status, headers: {}, body });

    const error = await failureOf({ baseUrl });

    assert.equal(error.type, "unexpected-response");
    assert.equal(error.status, status);
    assert.equal(error.detail, "Something went wrong.");
    assert.deepEqual(error.errors, []);
  });
}

for (const status of [429, 503]) {
  test(`After a ${status} the module waits as long as Retry-After says, and retries once.`, async (t) => {
    const busy = problem(status, "overloaded", { headers: { "Retry-After": "1" } });
    const { origin: baseUrl, requests } = await serve(t, busy, created());
    const skipped = skipTimers(t, 1000);

    assert.deepEqual(await createVaultSession({ baseUrl, token: "abc" }), SESSION);

    assert.deepEqual(skipped, [1000]);
    assert.equal(requests.length, 2);
    assert.equal(requests[1].headers.authorization, "Bearer abc");
  });
}

test("The module retries only once.", async (t) => {
  skipTimers(t, 1000);
  const { origin: baseUrl, requests } = await serve(t, RATE_LIMITED("1"), RATE_LIMITED("1"), created());

  const error = await failureOf({ baseUrl });

  assert.equal(error.type, "rate-limited");
  assert.equal(error.retryAfter, 1);
  assert.equal(requests.length, 2);
});

test("The module does not wait longer than a few seconds.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, RATE_LIMITED("6"));

  const error = await failureOf({ baseUrl });

  assert.equal(error.retryAfter, 6);
  assert.equal(requests.length, 1);
});

for (const [name, response] of [
  ["no Retry-After", problem(503, "apideck-unavailable")],
  ["a Retry-After that is not a number", RATE_LIMITED("soon")],
]) {
  test(`With ${name} the module does not retry.`, async (t) => {
    const { origin: baseUrl, requests } = await serve(t, response);

    const error = await failureOf({ baseUrl });

    assert.equal(error.retryAfter, undefined);
    assert.equal(requests.length, 1);
  });
}
