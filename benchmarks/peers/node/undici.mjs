// Fastify without the SDK: it calls Apideck with undici, Node's own HTTP client.
import Fastify from "fastify";
import { Pool } from "undici";

const pool = new Pool(process.env.UPSTREAM, { connections: null });
const headers = {
  authorization: "Bearer sk_bench",
  "x-apideck-app-id": "bench",
  "x-apideck-consumer-id": "consumer",
  "content-type": "application/json",
};
const app = Fastify();

app.post("/vault-session", async (_, reply) => {
  const response = await pool.request({ path: "/vault/sessions", method: "POST", headers, body: "{}" });
  const { data } = await response.body.json();
  return reply.code(201).send({ redirect_url: data.session_uri, session_token: data.session_token });
});

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 8192 });
