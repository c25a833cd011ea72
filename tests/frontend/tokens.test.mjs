import assert from "node:assert/strict";
import { test } from "node:test";

import { createVaultSession } from "../../clients/javascript/index.js";
import { SESSION, created, holdTimers, problem, serve } from "./service.mjs";

const REJECTED = problem(401, "unauthenticated", { detail: "Please sign in again." });

/** Returns a token function that returns these tokens, and the arguments of its calls. */
function source(...tokens) {
  const calls = [];
  const token = async (renew) => {
    calls.push(renew);
    return tokens[calls.length - 1];
  };
  return { token, calls };
}

test("A token function is called for each request.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const { token, calls } = source("first", "second");

  await createVaultSession({ baseUrl, token });
  await createVaultSession({ baseUrl, token });

  assert.deepEqual(calls, [false, false]);
  const sent = requests.map(({ headers }) => headers.authorization);
  assert.deepEqual(sent, ["Bearer first", "Bearer second"]);
});

test("After a 401 the function is called once more, for a new token.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, REJECTED, created());
  const { token, calls } = source("expired", "new");

  assert.deepEqual(await createVaultSession({ baseUrl, token }), SESSION);

  assert.deepEqual(calls, [false, true]);
  const sent = requests.map(({ headers }) => headers.authorization);
  assert.deepEqual(sent, ["Bearer expired", "Bearer new"]);
});

test("After a second 401 the call fails.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, REJECTED);
  const { token, calls } = source("expired", "expired too", "another");

  await assert.rejects(createVaultSession({ baseUrl, token }), { type: "unauthenticated" });

  assert.equal(calls.length, 2);
  assert.equal(requests.length, 2);
});

test("If the function returns no new token, there is no second request.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, REJECTED);
  const { token } = source("expired", null);

  await assert.rejects(createVaultSession({ baseUrl, token }), { type: "unauthenticated" });

  assert.equal(requests.length, 1);
});

test("Failures other than a 401 cause no call for a new token.", async (t) => {
  const { origin: baseUrl } = await serve(t, problem(403, "missing-claim"));
  const { token, calls } = source("abc");

  await assert.rejects(createVaultSession({ baseUrl, token }), { type: "missing-claim" });

  assert.deepEqual(calls, [false]);
});

test("A fixed token that is rejected causes no second request.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, REJECTED);

  await assert.rejects(createVaultSession({ baseUrl, token: "abc" }), { type: "unauthenticated" });

  assert.equal(requests.length, 1);
});

for (const [when, renewing] of [
  ["first", false],
  ["second", true],
]) {
  test(`An error of the token function's ${when} call is passed on unchanged.`, async (t) => {
    const { origin: baseUrl } = await serve(t, REJECTED);
    const lost = new Error("The sign-in was lost.");
    const token = async (renew) => {
      if (renew === renewing) throw lost;
      return "abc";
    };

    const failure = await createVaultSession({ baseUrl, token }).catch((error) => error);

    assert.equal(failure, lost);
  });
}

/** Starts a call whose token function hangs if `renew` has this value; returns once it hangs. */
async function callThatHangs(renewing, options) {
  let call;
  await new Promise((waits) => {
    const hang = () => new Promise(() => waits());
    const token = (renew) => (renew === renewing ? hang() : "abc");
    call = createVaultSession({ ...options, token });
  });
  return { call };
}

for (const [when, renewing, responses] of [
  ["first", false, [created()]],
  ["second", true, [REJECTED, created()]],
]) {
  const limit = { timeout: 20_000 };

  test(`A ${when} call of the token function that never ends is a network failure.`, limit, async (t) => {
    const { origin: baseUrl } = await serve(t, ...responses);
    const timers = holdTimers(t, 30_000);
    const { call } = await callThatHangs(renewing, { baseUrl });

    timers.at(-1)();

    await assert.rejects(call, { name: "VaultError", type: "network", status: 0 });
    assert.deepEqual(await createVaultSession({ baseUrl, token: "abc" }), SESSION);
  });

  test(`A call can be aborted while the token function's ${when} call waits.`, limit, async (t) => {
    const { origin: baseUrl } = await serve(t, ...responses);
    const controller = new AbortController();
    const { call } = await callThatHangs(renewing, { baseUrl, signal: controller.signal });

    controller.abort();
    const next = createVaultSession({ baseUrl, token: "abc" });

    await assert.rejects(call, { name: "AbortError" });
    assert.deepEqual(await next, SESSION);
  });
}

test("Concurrent calls are not shared if the token function returns two tokens.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const { token } = source("ada", "otto");

  await Promise.all([createVaultSession({ baseUrl, token }), createVaultSession({ baseUrl, token })]);

  const sent = requests.map(({ headers }) => headers.authorization).sort();
  assert.deepEqual(sent, ["Bearer ada", "Bearer otto"]);
});

test("A token is never in the console or in an error.", async (t) => {
  const logged = [];
  for (const method of ["debug", "error", "info", "log", "warn"]) {
    t.mock.method(console, method, (...values) => logged.push(values));
  }
  const { origin: baseUrl } = await serve(t, REJECTED, REJECTED, "half");

  for (const token of [() => "canary", "canary"]) {
    const error = await createVaultSession({ baseUrl, token }).catch((error) => error);
    assert.ok(!`${error.stack}${JSON.stringify(error)}${error.cause}`.includes("canary"));
  }

  assert.deepEqual(logged, []);
});
