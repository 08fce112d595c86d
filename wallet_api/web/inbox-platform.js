// Requests to the platform, each with a proof by DPoP (RFC 9449) that the key is here.

export const ISSUER = document.getElementById("inbox").dataset.issuer;
export const TIMEOUT_MS = 15_000;

/** What was asked for is not to be had; `code` is the server's, or `unreachable`, `ended`, `foreign_answer`. */
export class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const bytes = (text) => new TextEncoder().encode(text);
const b64u = (data) =>
  btoa(String.fromCharCode(...new Uint8Array(data))).replace(/[+/=]/g, (one) => ({ "+": "-", "/": "_", "=": "" })[one]);
export const sha256 = async (text) => b64u(await crypto.subtle.digest("SHA-256", bytes(text)));
export const random = (length) => b64u(crypto.getRandomValues(new Uint8Array(length)));

let nonce = null; // the newest that the server gave
let clockBehind_ms = 0; // this machine's clock, by the server's

/** A DPoP proof (RFC 9449 §4.2). */
async function proof(key, method, url, token) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key.publicKey);
  const claims = { jti: random(16), htm: method, htu: url.split("?")[0], iat: Math.floor((Date.now() + clockBehind_ms) / 1000) };
  if (token) claims.ath = await sha256(token);
  if (nonce) claims.nonce = nonce;
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const signed = [header, claims].map((part) => b64u(bytes(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.privateKey, bytes(signed));
  return `${signed}.${b64u(signature)}`;
}

/** The stable code of an answer that refuses. */
export async function codeOf(answer) {
  try {
    const body = await answer.clone().json();
    return String(body.code ?? body.error ?? `http_${answer.status}`);
  } catch {
    return `http_${answer.status}`;
  }
}

/** Send a request with a proof; once more when a fresh nonce or another time is wanted in it. */
export async function send(key, method, path, { token, body, signal } = {}) {
  for (let attempt = 0; ; attempt++) {
    const headers = { DPoP: await proof(key, method, ISSUER + path, token) };
    if (token) headers.Authorization = `DPoP ${token}`;
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    const how = { method, headers, body, cache: "no-store", credentials: "omit", redirect: "error" };
    let answer;
    try {
      answer = await fetch(ISSUER + path, { ...how, signal: signal ?? AbortSignal.timeout(TIMEOUT_MS) });
    } catch {
      throw new Refused("unreachable");
    }
    nonce = answer.headers.get("DPoP-Nonce") ?? nonce;
    clockBehind_ms = Date.parse(answer.headers.get("Date")) - Date.now() || 0;
    const bad = [400, 401].includes(answer.status) && (await codeOf(answer));
    if (attempt > 0 || !["use_dpop_nonce", "invalid_dpop_proof"].includes(bad)) return answer;
  }
}
