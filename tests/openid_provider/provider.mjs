// A real OpenID provider (oidc-provider, certified) for the tests of signing in. Started with a JSON configuration as its
// one argument, it prints its port and serves on this machine until its standard input ends.
import { once } from "node:events";
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const given = JSON.parse(process.argv[2]);
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

const jwk = (type, options, more) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), ...more });
const provider = new Provider(issuer, {
  clients: given.clients.map((client) => ({
    redirect_uris: [given.redirect_uri],
    response_types: ["code"],
    grant_types: ["authorization_code"],
    id_token_signed_response_alg: "ES256",
    ...client,
  })),
  jwks: { keys: [jwk("ec", { namedCurve: "P-256" }, { use: "sig", alg: "ES256", kid: "1" })] },
  claims: { openid: ["sub"], identity: ["id_number"] },
  scopes: ["openid", "identity"],
  conformIdTokenClaims: given.in_userinfo, // true: claims of scopes are given by userinfo only
  clientAuthMethods: ["client_secret_basic", "private_key_jwt"],
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600 },
  cookies: { keys: ["not a secret"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, id_number: given.accounts[id] }) }),
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
});

// The person signs in as the account that the `login` parameter of the query names, and agrees to everything; `login=-` cancels.
const signIn = async (request, response) => {
  const { params, prompt } = await provider.interactionDetails(request, response);
  const login = new URL(request.url, issuer).searchParams.get("login") ?? "";
  if (prompt.name === "login" && login === "") return response.end("who are you?");
  if (login === "-") {
    return provider.interactionFinished(request, response, { error: "access_denied" });
  }
  const grant = new provider.Grant({ accountId: login, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId: login }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result);
};

const serve = provider.callback();
server.on("request", (request, response) => {
  if (request.url.startsWith("/sign-in/")) signIn(request, response).catch((error) => response.writeHead(500).end(String(error)));
  else serve(request, response);
});
console.log(issuer);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
