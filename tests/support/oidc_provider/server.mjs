// A certified OpenID provider for the tests: node server.mjs
//
// It prints a line of JSON with its issuer URL when it is ready, reads commands as lines of JSON from
// standard input ({"rotate": true}), prints a line for each, and exits at the end of the input.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { Provider } from "oidc-provider";

const PEOPLE = {
  ada: { name: "Ada Byron", email: "ada@acme.example", org_id: "acme" },
  grace: {
    name: "Grace Hopper",
    email: "grace@globex.example",
    picture: "https://globex.example/grace.png",
    org_id: "globex",
  },
};
const RESOURCES = {
  "https://vault-bff.example": jwtFor("vault-bff", "RS256"),
  "https://es256.example": jwtFor("vault-bff", "ES256"),
  "https://eddsa.example": jwtFor("vault-bff", "EdDSA"),
  "https://opaque.example": { audience: "vault-bff-opaque", accessTokenFormat: "opaque" },
};

const server = createServer((request, response) => handle(request, response));
server.listen(0, "127.0.0.1", () => {
  keys.unshift(...newKeys());
  handle = newProvider();
  print({ issuer: issuer() });
});

const keys = [];
let handle;

function issuer() {
  return `http://127.0.0.1:${server.address().port}`;
}

function jwtFor(audience, alg) {
  return { audience, accessTokenFormat: "jwt", jwt: { sign: { alg } } };
}

// One key of each kind. The provider signs with the first key that fits.
function newKeys() {
  return [
    newKey("RS256", "rsa", { modulusLength: 2048 }),
    newKey("ES256", "ec", { namedCurve: "P-256" }),
    newKey("EdDSA", "ed25519"),
  ];
}

function newKey(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg };
}

// A provider cannot change its keys, so a rotation creates a new provider at the same URL. All
// providers of a process share their clients, codes and opaque tokens.
function newProvider() {
  const provider = new Provider(issuer(), {
    jwks: { keys },
    clients: [
      {
        client_id: "robot",
        client_secret: "opens-nothing",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: "vault-bff",
        client_secret: "opens-nothing",
        grant_types: [],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: "spa",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        redirect_uris: ["https://app.example.com/callback"],
      },
    ],
    scopes: ["openid", "profile", "email", "vault:sessions"],
    claims: { openid: ["sub"], profile: ["name", "picture"], email: ["email"] },
    cookies: { keys: ["of-a-test"] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: "vault:sessions", ...RESOURCES[resource] }),
        useGrantedResource: () => true,
      },
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
    extraTokenClaims: (_, token) => ({ org_id: PEOPLE[token.accountId]?.org_id }),
    // The user has already given consent, and only has to sign in.
    loadExistingGrant: async (context) => {
      const { client, session, params } = context.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(params.scope);
      for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope);
      await grant.save();
      return grant;
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  });
  const callback = provider.callback();
  return async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return callback(request, response);
    const { params } = await provider.interactionDetails(request, response);
    return provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
  };
}

function print(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => {
  if (JSON.parse(line).rotate) {
    keys.unshift(...newKeys());
    handle = newProvider();
    print({ rotated: keys[0].kid });
  }
});
commands.on("close", () => process.exit(0));
