// Fastify with one instance of Apideck's SDK for all requests.
import { Apideck } from "@apideck/unify";
import Fastify from "fastify";

const apideck = new Apideck({
  apiKey: "sk_bench",
  appId: "bench",
  consumerId: "consumer",
  serverURL: process.env.UPSTREAM,
});
const app = Fastify();

app.post("/vault-session", async (_, reply) => {
  const { createSessionResponse } = await apideck.vault.sessions.create({ session: {} });
  const { sessionUri, sessionToken } = createSessionResponse.data;
  return reply.code(201).send({ redirect_url: sessionUri, session_token: sessionToken });
});

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 8192 });
