import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import {
  VaultSessionError,
  createVaultSession,
} from "../../deploy/local/demo/static/vault-session.js";
import { SESSION, created, problem, serve } from "./service.mjs";

const RATE_LIMITED = (retryAfter) =>
  problem(429, "rate-limited", { headers: { "Retry-After": retryAfter } });

/** Returns the error that a call throws. */
async function failureOf(options) {
  const error = await createVaultSession({ token: "abc", ...options }).then(
    () => assert.fail("the call should have failed"),
    (reason) => reason,
  );
  assert.ok(error instanceof VaultSessionError);
  return error;
}

test("A problem becomes an error with all members of the problem.", async (t) => {
  const errors = [{ pointer: "/theme", detail: "You may not set this." }];
  const detail = "The request sets fields that you may not set.";
  const response = problem(403, "field-not-permitted", { detail, request_id: "r-1", errors });
  const { url } = await serve(t, response);

  const error = await failureOf({ url });

  assert.equal(error.type, "field-not-permitted");
  assert.equal(error.status, 403);
  assert.equal(error.detail, detail);
  assert.equal(error.message, detail);
  assert.equal(error.requestId, "r-1");
  assert.deepEqual(error.errors, errors);
  assert.equal(error.retryAfter, undefined);
  assert.equal(error.name, "VaultSessionError");
  assert.ok(error instanceof Error);
});

test("A relative type URI results in the same type as an absolute one.", async (t) => {
  const body = JSON.stringify({ type: "/problems/not-found", detail: "No." });
  const { url } = await serve(t, { status: 404, headers: {}, body });

  assert.equal((await failureOf({ url })).type, "not-found");
});

test("If no server listens, the error has the type network and a message for the user.", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  server.close();
  await once(server, "close");

  const error = await failureOf({ url });

  assert.equal(error.type, "network");
  assert.equal(error.status, 0);
  assert.match(error.detail, /cannot be reached/);
  assert.ok(error.cause instanceof Error);
});

test("A service that never responds is a network failure.", async (t) => {
  const { url } = await serve(t, "silence");

  const limits = [];
  t.mock.method(AbortSignal, "timeout", (milliseconds) => {
    limits.push(milliseconds);
    return AbortSignal.abort(new DOMException("Too late.", "TimeoutError"));
  });

  assert.equal((await failureOf({ url })).type, "network");
  assert.deepEqual(limits, [30_000]);
});

test("A response that ends early is a network failure.", async (t) => {
  const { url } = await serve(t, "half");

  assert.equal((await failureOf({ url })).type, "network");
});

for (const [what, status, body] of [
  ["the page of a proxy", 502, "<h1>Bad Gateway</h1>"],
  ["a sign-in page", 200, "<h1>Sign in</h1>"],
  ["empty", 503, ""],
  ["JSON null", 500, "null"],
  ["a JSON string", 500, '"no"'],
  ["JSON without a session", 200, "{}"],
]) {
  test(`A response that is ${what} is an error with a message for the user.`, async (t) => {
    const { url } = await serve(t, { status, headers: {}, body });

    const error = await failureOf({ url });

    assert.equal(error.type, "unexpected-response");
    assert.equal(error.status, status);
    assert.equal(error.detail, "Something went wrong.");
    assert.deepEqual(error.errors, []);
  });
}

for (const status of [429, 503]) {
  test(`After a ${status} the module waits as long as Retry-After says, and retries once.`, async (t) => {
    const busy = problem(status, "overloaded", { headers: { "Retry-After": "1" } });
    const { url, requests } = await serve(t, busy, created());
    const start = performance.now();

    assert.deepEqual(await createVaultSession({ url, token: "abc" }), SESSION);

    assert.ok(performance.now() - start > 990);
    assert.equal(requests.length, 2);
    assert.equal(requests[1].headers.authorization, "Bearer abc");
  });
}

test("The module retries only once.", async (t) => {
  const { url, requests } = await serve(t, RATE_LIMITED("1"), RATE_LIMITED("1"), created());

  const error = await failureOf({ url });

  assert.equal(error.type, "rate-limited");
  assert.equal(error.retryAfter, 1);
  assert.equal(requests.length, 2);
});

test("The module does not wait longer than a few seconds.", async (t) => {
  const { url, requests } = await serve(t, RATE_LIMITED("6"));

  const error = await failureOf({ url });

  assert.equal(error.retryAfter, 6);
  assert.equal(requests.length, 1);
});

for (const [what, response] of [
  ["no Retry-After", problem(503, "apideck-unavailable")],
  ["a Retry-After that is not a number", RATE_LIMITED("soon")],
]) {
  test(`With ${what} the module does not retry.`, async (t) => {
    const { url, requests } = await serve(t, response);

    const error = await failureOf({ url });

    assert.equal(error.retryAfter, undefined);
    assert.equal(requests.length, 1);
  });
}
