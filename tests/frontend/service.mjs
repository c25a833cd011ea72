// A service on a socket that sends prepared responses and records its requests.

import { createServer } from "node:http";
import { once } from "node:events";

export const SESSION = {
  redirect_url: "https://vault.apideck.com/session/eyJ",
  session_token: "eyJ",
  expires_at: "2026-01-31T12:00:00Z",
};

/** A response with a problem (RFC 9457). */
export function problem(status, slug, { headers = {}, ...members } = {}) {
  const type = `https://vault.example.com/problems/${slug}`;
  return {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
    body: JSON.stringify({ type, title: slug, status, ...members }),
  };
}

export function created(session = SESSION) {
  return {
    status: 201,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(session),
  };
}

/**
 * Serves until the test ends. Each request gets the next of `responses`, and the last one is
 * repeated. `"silence"` stands for no response, and `"half"` for a response that ends early.
 */
export async function serve(t, ...responses) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const { method, headers, url } = request;
    requests.push({ method, headers, url, body: Buffer.concat(chunks).toString() });
    const prepared = responses.length > 1 ? responses.shift() : responses[0];
    if (prepared === "silence") return;
    if (prepared === "half") {
      response.writeHead(201, { "Content-Length": "100" }).write("{", () => response.destroy());
      return;
    }
    response.writeHead(prepared.status, prepared.headers).end(prepared.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, requests };
}

/** Fires each timer of this length immediately, during one test; returns their lengths. */
export function skipTimers(t, length) {
  const skipped = [];
  const real = globalThis.setTimeout;
  t.mock.method(globalThis, "setTimeout", (callback, milliseconds, ...rest) => {
    if (milliseconds !== length) return real(callback, milliseconds, ...rest);
    skipped.push(milliseconds);
    return real(callback, 0, ...rest);
  });
  return skipped;
}

/** Holds each timer of this length during one test; returns the callbacks that fire them. */
export function holdTimers(t, length) {
  const held = [];
  const real = globalThis.setTimeout;
  t.mock.method(globalThis, "setTimeout", (callback, milliseconds, ...rest) => {
    if (milliseconds !== length) return real(callback, milliseconds, ...rest);
    held.push(callback);
  });
  return held;
}
