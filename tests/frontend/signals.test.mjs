import assert from "node:assert/strict";
import { test } from "node:test";

import { createVaultSession, listConnections, openVault } from "../../clients/javascript/index.js";
import { created, problem, serve } from "./service.mjs";

const ABORTED = { name: "AbortError" };

/** Records whether the request that `fetch` sends has been aborted. */
function recordSignals(t) {
  const signals = [];
  const real = globalThis.fetch;
  t.mock.method(globalThis, "fetch", (url, init) => {
    signals.push(init.signal);
    return real(url, init);
  });
  return signals;
}

/** Waits until the service has this many requests. */
async function received(requests, count) {
  while (requests.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("An aborted call is rejected with the signal's reason, and its request ends.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, "silence");
  const signals = recordSignals(t);
  const controller = new AbortController();
  const reason = new Error("The page was left.");

  const call = listConnections({ baseUrl, token: "abc", signal: controller.signal });
  await received(requests, 1);
  controller.abort(reason);

  assert.equal(await call.catch((error) => error), reason);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true]);
});

test("A call that is aborted before it starts sends nothing.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const options = { baseUrl, token: "abc", signal: AbortSignal.abort() };

  await assert.rejects(createVaultSession(options), ABORTED);

  assert.deepEqual(requests, []);
});

test("A call that is aborted while it waits for a token sends nothing.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, created());
  const controller = new AbortController();
  const token = async () => {
    controller.abort();
    return "abc";
  };

  const { signal } = controller;
  await assert.rejects(createVaultSession({ baseUrl, token, signal }), ABORTED);

  assert.deepEqual(requests, []);
});

test("A shared request continues until all its callers have aborted.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, "silence");
  const signals = recordSignals(t);
  const [first, second] = [new AbortController(), new AbortController()];
  const call = ({ signal }) => listConnections({ baseUrl, token: "abc", signal });
  const calls = [call(first), call(second)];
  await received(requests, 1);

  first.abort();
  await assert.rejects(calls[0], ABORTED);
  assert.equal(signals[0].aborted, false);
  second.abort();
  await assert.rejects(calls[1], ABORTED);

  assert.equal(signals[0].aborted, true);
  assert.equal(requests.length, 1);
});

test("A call after an aborted one does not share its request.", async (t) => {
  const list = problem(403, "missing-claim");
  const { origin: baseUrl, requests } = await serve(t, "silence", list);
  const controller = new AbortController();
  const options = { baseUrl, token: "abc" };
  const call = listConnections({ ...options, signal: controller.signal });
  await received(requests, 1);

  controller.abort();
  const next = listConnections(options);

  await assert.rejects(call, ABORTED);
  await assert.rejects(next, { type: "missing-claim" });
});

test("A call without a signal is not aborted by another caller's signal.", async (t) => {
  const { origin: baseUrl, requests } = await serve(t, "silence");
  const signals = recordSignals(t);
  const controller = new AbortController();
  const options = { baseUrl, token: "abc" };
  listConnections(options).catch(() => {});
  const call = listConnections({ ...options, signal: controller.signal });
  await received(requests, 1);

  controller.abort();

  await assert.rejects(call, ABORTED);
  assert.equal(signals[0].aborted, false);
});

test("A call that is aborted when its response arrives does not navigate.", async (t) => {
  const { origin: baseUrl } = await serve(t, created());
  const visited = [];
  globalThis.location = { assign: (target) => visited.push(target) };
  t.after(() => delete globalThis.location);
  const controller = new AbortController();
  const real = globalThis.fetch;
  t.mock.method(globalThis, "fetch", async (url, init) => {
    const response = await real(url, init);
    controller.abort();
    return response;
  });

  const call = openVault({ baseUrl, token: "abc", signal: controller.signal });

  await assert.rejects(call, ABORTED);
  assert.deepEqual(visited, []);
});
