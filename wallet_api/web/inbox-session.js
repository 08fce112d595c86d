// The session of a small wallet: it signs its holder in at the authorization endpoint (RFC 9126, RFC 7636) and calls the
// API that every wallet calls. The key cannot be taken out of the browser.

import { ISSUER, Refused, codeOf, random, send, sha256 } from "./inbox-platform.js";
import { forget, keep, read, wipe } from "./inbox-store.js";

export const PAGE = `${ISSUER}/inbox`;
const CLIENT_ID = "liangzheng-inbox";
const EC = { name: "ECDSA", namedCurve: "P-256" };
const EARLY_MS = 30_000; // a token that ends within this is exchanged first

const oneTab = (work) => navigator.locks.request(`liangzheng.inbox ${ISSUER}`, work);
export const otherTabs = new BroadcastChannel(`liangzheng.inbox ${ISSUER}`); // one tab's signing out is every tab's

/** Push an authorization request and open it; the browser comes back to this page with a code. */
export async function signIn() {
  const key = await crypto.subtle.generateKey(EC, false, ["sign", "verify"]);
  const [verifier, state] = [random(32), random(16)];
  const form = {
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: PAGE,
    scope: "inbox",
    state,
    code_challenge: await sha256(verifier),
    code_challenge_method: "S256",
  };
  const answer = await send(key, "POST", "/oauth/par", { body: new URLSearchParams(form) });
  if (!answer.ok) throw new Refused(await codeOf(answer));
  const { request_uri } = await answer.json();
  await keep("pending", { key, verifier, state });
  location.assign(`${ISSUER}/oauth/authorize?${new URLSearchParams({ client_id: CLIENT_ID, request_uri })}`);
}

/** Exchange the code in an answer to the request that this browser pushed last (RFC 6749 §4.1.3, RFC 9207 §2.4). */
export async function finishSignIn(answered) {
  const pending = await read("pending");
  if (!pending || answered.get("state") !== pending.state || answered.get("iss") !== ISSUER) throw new Refused("foreign_answer");
  await forget("pending");
  if (!answered.has("code")) throw new Refused(answered.get("error") ?? "foreign_answer");
  const form = {
    grant_type: "authorization_code",
    code: answered.get("code"),
    client_id: CLIENT_ID,
    redirect_uri: PAGE,
    code_verifier: pending.verifier,
  };
  const answer = await send(pending.key, "POST", "/oauth/token", { body: new URLSearchParams(form) });
  if (!answer.ok) throw new Refused(await codeOf(answer));
  await keepTokens(pending.key, await answer.json());
}

/** Take key, tokens and all else out, here and in every tab. */
export async function wipeSession() {
  await oneTab(wipe); // a token that is being exchanged is written first
  otherTabs.postMessage("signed out");
}

/** The session with a token that is good, exchanged first where it is over or was refused: one tab at a time. */
function session(refused = null) {
  return oneTab(async () => {
    const now = await read("session");
    if (!now) throw new Refused("ended");
    if (now.token !== refused && now.until_ms > Date.now() + EARLY_MS) return now;
    const form = { grant_type: "refresh_token", refresh_token: now.refresh, client_id: CLIENT_ID };
    const answer = await send(now.key, "POST", "/oauth/token", { body: new URLSearchParams(form) });
    if (answer.ok) return keepTokens(now.key, await answer.json());
    const code = await codeOf(answer);
    throw new Refused(code === "invalid_grant" ? "ended" : code);
  });
}

async function keepTokens(key, granted) {
  const until_ms = Date.now() + granted.expires_in * 1000;
  const made = { key, token: granted.access_token, refresh: granted.refresh_token, until_ms };
  await keep("session", made);
  return made;
}

/** Call the holder's API; gives the answer, or throws Refused with the server's code. */
export async function call(method, path, json, signal) {
  const body = json === undefined ? undefined : JSON.stringify(json);
  let { key, token } = await session();
  let answer = await send(key, method, `/api/v1/me/${path}`, { token, body, signal });
  if (answer.status === 401) {
    ({ key, token } = await session(token));
    answer = await send(key, method, `/api/v1/me/${path}`, { token, body, signal });
  }
  if (answer.status === 401) throw new Refused("ended");
  if (!answer.ok) throw new Refused(await codeOf(answer));
  return answer;
}

/** For what is to be taken away or noted as done with: that it is gone already is as good. */
export const gone = (code) => (error) => {
  if (error.code !== code) throw error;
};
