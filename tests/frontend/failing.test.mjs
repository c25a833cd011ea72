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

/** Returns the error that asking ends in. */
async function failureOf(options) {
  const error = await createVaultSession({ token: "abc", ...options }).then(
    () => assert.fail("there should have been no session"),
    (reason) => reason,
  );
  assert.ok(error instanceof VaultSessionError);
  return error;
}

test("A problem becomes an error with all its members.", async (t) => {
  const errors = [{ pointer: "/theme", detail: "You may not set this." }];
  const detail = "The request sets fields that you may not set.";
  const answer = problem(403, "field-not-permitted", { detail, request_id: "r-1", errors });
  const { url } = await serve(t, answer);

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

test("A type that is a relative reference gives the same name as an absolute one.", async (t) => {
  const body = JSON.stringify({ type: "/problems/not-found", detail: "No." });
  const { url } = await serve(t, { status: 404, headers: {}, body });

  assert.equal((await failureOf({ url })).type, "not-found");
});

test("Where nothing listens, the error is of type network and says so to the person.", async () => {
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

test("A service that never answers is given up, as a network failure.", async (t) => {
  const { url } = await serve(t, "silence");

  const limits = [];
  t.mock.method(AbortSignal, "timeout", (milliseconds) => {
    limits.push(milliseconds);
    return AbortSignal.abort(new DOMException("Too late.", "TimeoutError"));
  });

  assert.equal((await failureOf({ url })).type, "network");
  assert.deepEqual(limits, [30_000]);
});

test("An answer that breaks off is a network failure.", async (t) => {
  const { url } = await serve(t, "half");

  assert.equal((await failureOf({ url })).type, "network");
});

for (const [what, status, body] of [
  ["a proxy's page", 502, "<h1>Bad Gateway</h1>"],
  ["a sign-in page", 200, "<h1>Sign in</h1>"],
  ["nothing", 503, ""],
  ["JSON null", 500, "null"],
  ["a JSON string", 500, '"no"'],
  ["JSON that is no session", 200, "{}"],
]) {
  test(`An answer that is ${what} is no session and no stack trace.`, async (t) => {
    const { url } = await serve(t, { status, headers: {}, body });

    const error = await failureOf({ url });

    assert.equal(error.type, "unexpected-response");
    assert.equal(error.status, status);
    assert.equal(error.detail, "Something went wrong.");
    assert.deepEqual(error.errors, []);
  });
}

for (const status of [429, 503]) {
  test(`After a ${status} it waits as long as Retry-After says, and asks once more.`, async (t) => {
    const busy = problem(status, "overloaded", { headers: { "Retry-After": "1" } });
    const { url, requests } = await serve(t, busy, created());
    const start = performance.now();

    assert.deepEqual(await createVaultSession({ url, token: "abc" }), SESSION);

    assert.ok(performance.now() - start > 990);
    assert.equal(requests.length, 2);
    assert.equal(requests[1].headers.authorization, "Bearer abc");
  });
}

test("It asks again once, and no more than once.", async (t) => {
  const { url, requests } = await serve(t, RATE_LIMITED("1"), RATE_LIMITED("1"), created());

  const error = await failureOf({ url });

  assert.equal(error.type, "rate-limited");
  assert.equal(error.retryAfter, 1);
  assert.equal(requests.length, 2);
});

test("Nobody is kept waiting for longer than a few seconds.", async (t) => {
  const { url, requests } = await serve(t, RATE_LIMITED("6"));

  const error = await failureOf({ url });

  assert.equal(error.retryAfter, 6);
  assert.equal(requests.length, 1);
});

for (const [what, answer] of [
  ["no Retry-After", problem(503, "apideck-unavailable")],
  ["a Retry-After that is no number", RATE_LIMITED("soon")],
]) {
  test(`With ${what} it does not ask again by itself.`, async (t) => {
    const { url, requests } = await serve(t, answer);

    const error = await failureOf({ url });

    assert.equal(error.retryAfter, undefined);
    assert.equal(requests.length, 1);
  });
}
