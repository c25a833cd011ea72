// A service on a real socket that answers as it is told, and keeps what it was asked.

import { createServer } from "node:http";
import { once } from "node:events";

export const SESSION = {
  redirect_url: "https://vault.apideck.com/session/eyJ",
  session_token: "eyJ",
  expires_at: "2026-01-31T12:00:00Z",
};

/** An answer with a problem, as RFC 9457 has it. */
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
 * Serves for as long as a test lasts: each request gets the next of `answers`, the last of them
 * again and again; `"silence"` is no answer at all, and `"half"` one that breaks off.
 */
export async function serve(t, ...answers) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const { method, headers, url } = request;
    requests.push({ method, headers, url, body: Buffer.concat(chunks).toString() });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === "silence") return;
    if (answer === "half") {
      response.writeHead(201, { "Content-Length": "100" }).write("{", () => response.destroy());
      return;
    }
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${server.address().port}/vault-session`, requests };
}
