// A careful Fastify service: it verifies every token, limits each caller, writes JSON logs, counts
// requests, and has a deadline. With CACHE_TOKENS=1 it caches verified tokens until they expire.
import rateLimit from "@fastify/rate-limit";
import Fastify from "fastify";
import { createRemoteJWKSet, jwtVerify } from "jose";
import client from "prom-client";
import { Pool } from "undici";

const DEADLINE_MS = 10_000;
const LIMIT = 100_000;
const MAX_CACHED_TOKENS = 10_000;
const { ISSUER, PORT, CACHE_TOKENS, UPSTREAM } = process.env;

const keys = createRemoteJWKSet(new URL(`${ISSUER}/jwks`));
const pool = new Pool(UPSTREAM, { connections: null });
const cachedClaims = new Map();

const requests = new client.Counter({ name: "requests_total", help: "Requests", labelNames: ["status"] });
const seconds = new client.Histogram({ name: "request_seconds", help: "Duration of a request" });
client.collectDefaultMetrics();

async function verifiedClaims(token) {
  const cached = cachedClaims.get(token);
  if (cached && cached.exp * 1000 > Date.now()) return cached;
  const { payload } = await jwtVerify(token, keys, {
    issuer: ISSUER,
    audience: "vault-bff",
    algorithms: ["RS256"],
    typ: "at+jwt",
    requiredClaims: ["exp", "sub", "org_id"],
  });
  if (CACHE_TOKENS) {
    if (cachedClaims.size >= MAX_CACHED_TOKENS) cachedClaims.delete(cachedClaims.keys().next().value);
    cachedClaims.set(token, payload);
  }
  return payload;
}

const app = Fastify({ logger: { level: "info" }, bodyLimit: 16_384 });

app.addHook("onResponse", async (request, reply) => {
  requests.inc({ status: reply.statusCode });
  seconds.observe(reply.elapsedTime / 1000);
});

async function authenticate(request, reply) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  try {
    if (scheme.toLowerCase() !== "bearer") throw new Error("no bearer token");
    request.caller = await verifiedClaims(token);
  } catch (error) {
    request.log.warn({ reason: error.message }, "rejected");
    return reply.code(401).send({ detail: "Unauthorized" });
  }
}

await app.register(rateLimit, { global: false });
const limited = app.rateLimit({
  max: LIMIT,
  timeWindow: "1 second",
  keyGenerator: (request) => request.caller.sub,
});

app.post("/vault-session", { preHandler: [authenticate, limited] }, async (request, reply) => {
  const { name, org_id: consumer } = request.caller;
  const response = await pool.request({
    path: "/vault/sessions",
    method: "POST",
    headers: {
      authorization: "Bearer sk_bench",
      "x-apideck-app-id": "bench",
      "x-apideck-consumer-id": consumer,
      "content-type": "application/json",
    },
    body: JSON.stringify({ consumer_metadata: { user_name: name } }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (response.statusCode >= 400) {
    await response.body.dump();
    return reply.code(502).send({ detail: "Apideck failed" });
  }
  const { data } = await response.body.json();
  request.log.info({ consumer }, "session created");
  return reply.code(201).send({ redirect_url: data.session_uri, session_token: data.session_token });
});

app.get("/metrics", async (_, reply) => reply.type(client.register.contentType).send(await client.register.metrics()));

await app.listen({ port: Number(PORT), host: "127.0.0.1", backlog: 8192 });
