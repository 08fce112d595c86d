// The inbox page is a small wallet: it signs its holder in at the authorization endpoint (RFC 9126, RFC 7636), proves
// by DPoP (RFC 9449) that the key is here, and calls the API that every wallet calls. The key cannot be taken out of the
// browser; key and tokens lie in IndexedDB and nowhere else.

const root = document.getElementById("inbox");
const ISSUER = root?.dataset.issuer;
const PAGE = `${ISSUER}/inbox`;
const CLIENT_ID = "liangzheng-inbox";
const EC = { name: "ECDSA", namedCurve: "P-256" };
const TIMEOUT_MS = 15_000;
const EARLY_MS = 30_000; // a token that ends within this is exchanged first
const SILENCE_MS = 45_000; // the stream sends a comment every 15 s
const RETRY_MS = 2_000;
const RETRY_AT_MOST_MS = 60_000;
const PAGE_SIZE = 20;
const MOST = 100; // the API's own limit for one page

/** What was asked for is not to be had; `code` is the server's, or `unreachable`, `ended`, `foreign_answer`. */
class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const find = (selector) => root.querySelector(selector);

/** Put `element` into a state. A part says when it is shown, or what it tells; parts with states of their own keep theirs. */
function set(element, state, code = "") {
  element.dataset.state = state;
  for (const part of element.querySelectorAll("[data-when], [data-in], [data-hint], [data-code]")) {
    const { when, in: states, hint } = part.dataset;
    if (part.parentElement.closest("[data-state]") !== element) continue;
    if (when) part.hidden = when !== state;
    else if (states) part.hidden = !states.split(" ").includes(state);
    else if (hint) part.hidden = hint !== code;
    else part.textContent = code;
  }
}

/** Show `element` with the part for this code, or the one for any other code. */
function tell(element, code) {
  const known = element.querySelector(`[data-when="${CSS.escape(code)}"]`);
  set(element, known ? code : "other", code);
  element.hidden = false;
}

// ---- what is kept

/** Run one transaction on what this browser keeps for this platform. */
async function kept(mode, work) {
  const settled = (asked, done) =>
    new Promise((resolve, reject) => {
      asked[done] = () => resolve(asked.result);
      asked.onerror = asked.onabort = asked.onblocked = () => reject(asked.error);
    });
  const opening = indexedDB.open(`liangzheng.inbox ${ISSUER}`, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  const database = await settled(opening, "onsuccess");
  try {
    const transaction = database.transaction("kept", mode);
    const asked = work(transaction.objectStore("kept"));
    await settled(transaction, "oncomplete");
    return asked.result;
  } finally {
    database.close();
  }
}

const read = (name) => kept("readonly", (store) => store.get(name));
const keep = (name, value) => kept("readwrite", (store) => store.put(value, name));
const forget = (name) => kept("readwrite", (store) => store.delete(name));
const wipe = () => kept("readwrite", (store) => store.clear());

// ---- proofs and calls

const bytes = (text) => new TextEncoder().encode(text);
const b64u = (data) =>
  btoa(String.fromCharCode(...new Uint8Array(data))).replace(/[+/=]/g, (one) => ({ "+": "-", "/": "_", "=": "" })[one]);
const sha256 = async (text) => b64u(await crypto.subtle.digest("SHA-256", bytes(text)));
const random = (length) => b64u(crypto.getRandomValues(new Uint8Array(length)));

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
async function codeOf(answer) {
  try {
    const body = await answer.clone().json();
    return String(body.code ?? body.error ?? `http_${answer.status}`);
  } catch {
    return `http_${answer.status}`;
  }
}

/** Send a request with a proof; once more when a fresh nonce or another time is wanted in it. */
async function send(key, method, path, { token, body, signal } = {}) {
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

const oneTab = (work) => navigator.locks.request(`liangzheng.inbox ${ISSUER}`, work);

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
async function call(method, path, json, signal) {
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

// ---- signing in and out

const otherTabs = new BroadcastChannel(`liangzheng.inbox ${ISSUER}`); // one tab's signing out is every tab's

/** Push an authorization request and open it; the browser comes back to this page with a code. */
async function signIn() {
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
async function finishSignIn(answered) {
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

/** Show that nobody is signed in, and nothing of who was. */
function showSignedOut(code) {
  stopWatching();
  draw([], 0, null);
  const problem = find("#sign-in-problem");
  if (code) tell(problem, code);
  else problem.hidden = true;
  set(root, "signed-out");
}

/** Take device, subscription, key and tokens out; without a network all but what the platform knows of the device. */
async function signOut() {
  stopWatching();
  await stopPush().catch(() => undefined);
  await oneTab(wipe); // a token that is being exchanged is written first
  otherTabs.postMessage("signed out");
  showSignedOut();
}

async function ended() {
  await forget("session");
  showSignedOut("ended");
}

// ---- messages

const title = document.title;
const list = root && find("#messages");
let messages = [];
let unreadShown = 0;
let cursor = null;

const timeText = (at) => new Date(at).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" }); // 2026-11-26 09:00

function drawn(message) {
  const item = find("#message").content.firstElementChild.cloneNode(true);
  const name = find(`[data-kind-name="${CSS.escape(message.kind)}"]`);
  item.dataset.id = message.id;
  item.querySelector("[data-title]").textContent = message.title;
  item.querySelector("[data-text]").textContent = message.text;
  item.querySelector("[data-kind]").append(name ? name.content.cloneNode(true) : message.kind);
  item.querySelector("time").dateTime = message.received_at;
  item.querySelector("time").textContent = timeText(message.received_at);
  return item;
}

/** Show a page of messages after those; nothing once somebody has signed out meanwhile. */
function drawPage(before, page) {
  if (root.dataset.state === "signed-in") draw([...before, ...page.messages], page.unread, page.next_cursor);
}

/** Show these messages. What stays is not touched, so that focus and an open question stay too. */
function draw(now, unread, next) {
  [messages, unreadShown, cursor] = [now, unread, next];
  const before = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const items = messages.map((one) => before.get(one.id) ?? drawn(one));
  for (const item of before.values()) if (!items.includes(item)) item.remove();
  items.forEach((item, at) => {
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
    item.classList.toggle("unread", !messages[at].read_at);
    for (const part of item.querySelectorAll("[data-unread-mark], [data-message=read]")) part.hidden = Boolean(messages[at].read_at);
  });
  find("#no-message").hidden = messages.length > 0;
  find("#older").hidden = cursor === null;
  find("#unread").hidden = unread === 0;
  find("[data-unread]").textContent = unread;
  find("[data-do=read-all]").disabled = unread === 0;
  document.title = unread ? `(${unread}) ${title}` : title;
}

async function reload() {
  const limit = Math.min(MOST, Math.max(PAGE_SIZE, messages.length));
  drawPage([], await (await call("GET", `inbox?limit=${limit}`)).json());
}

async function older() {
  const page = await (await call("GET", `inbox?limit=${PAGE_SIZE}&cursor=${encodeURIComponent(cursor)}`)).json();
  drawPage(messages, page);
}

async function readAll() {
  await call("POST", "inbox/read-all");
  await reload();
}

async function onMessage(button, item) {
  const asked = item.querySelector("[data-confirm]");
  const path = `inbox/${item.dataset.id}`;
  if (button.dataset.message === "read") await call("POST", `${path}/read`);
  else if (button.dataset.message === "confirm") {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    await call("DELETE", path).catch(gone("message_not_found"));
    await reload();
    (next?.querySelector("[data-message=delete]") ?? find("[data-do=sign-out]")).focus({ preventScroll: true });
    return;
  } else {
    asked.hidden = button.dataset.message === "keep";
    item.querySelector("[data-message=delete]").hidden = !asked.hidden;
    item.querySelector(asked.hidden ? "[data-message=delete]" : "[data-message=keep]").focus();
    return;
  }
  await reload();
}

/** For what is to be taken away: that it is gone already is as good. */
const gone = (code) => (error) => {
  if (error.code !== code) throw error;
};

// ---- live: server-sent events by fetch, because EventSource carries no proof

let watching = null;

function stopWatching() {
  watching?.abort();
}

/** Follow the stream of events until `stopWatching`, and open it again when it ends or breaks. */
async function watch() {
  stopWatching();
  const { signal } = (watching = new AbortController());
  let wait_ms = RETRY_MS;
  while (!signal.aborted) {
    try {
      await follow(signal, () => (wait_ms = RETRY_MS));
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === "ended") return ended();
      set(find("#live"), "unreachable");
      wait_ms = Math.min(2 * wait_ms, RETRY_AT_MOST_MS);
    }
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}

/** Read one stream to its end. Each event is a glance: the unread count and the newest message's id. */
async function follow(signal, opened) {
  const one = new AbortController();
  const stop = () => one.abort();
  signal.addEventListener("abort", stop);
  let silence = setTimeout(stop, SILENCE_MS);
  try {
    const answer = await call("GET", "inbox/events", undefined, one.signal);
    set(find("#live"), "ok");
    opened();
    const [reader, decoder] = [answer.body.getReader(), new TextDecoder()];
    let text = "";
    for (let part; !(part = await reader.read()).done; ) {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
      text += decoder.decode(part.value, { stream: true }).replaceAll("\r", "");
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) await glance(/^data: ?(.*)$/m.exec(event)?.[1]);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", stop);
  }
}

async function glance(data) {
  if (!data) return; // a comment
  const { unread, newest_id } = JSON.parse(data);
  if (newest_id !== (messages[0]?.id ?? null) || unread !== unreadShown) await reload();
}

// ---- push in this browser

const push = root && find("#push");
const canPush = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const subscriptionNow = async () => (await navigator.serviceWorker.getRegistration(PAGE))?.pushManager.getSubscription();
const removeDevice = (id) => call("DELETE", `devices/${id}`).catch(gone("device_not_found"));

/** The platform's public key as the Push API wants it, or null where there is no web push. */
async function pushKey() {
  const answer = await fetch(`${ISSUER}/api/v1/push-key`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
  if (answer === null) throw new Refused("unreachable");
  const code = answer.ok ? "" : await codeOf(answer);
  if (code === "web_push_unavailable") return null;
  if (code) throw new Refused(code);
  const text = (await answer.json()).public_key.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
}

/** Find out how it stands. A subscription that the holder has is registered again, as wallets do at every start. */
async function startPush() {
  if (!canPush) return set(push, "unsupported");
  const key = await pushKey();
  if (key === null) return set(push, "unavailable");
  const [mine, { devices }] = [await read("device"), await (await call("GET", "devices")).json()];
  const listed = devices.some((one) => one.id === mine);
  if (listed && Notification.permission === "granted") return register(key);
  if (listed) await removeDevice(mine);
  await (await subscriptionNow())?.unsubscribe(); // nobody's, or that of who was signed in here before
  await forget("device");
  set(push, Notification.permission === "denied" ? "denied" : "off");
}

/** Ask for permission, subscribe, and register the subscription. Called from a press of the button. */
async function subscribe() {
  set(push, "subscribing");
  const permission = await Notification.requestPermission();
  if (permission !== "granted") return set(push, permission === "denied" ? "denied" : "dismissed");
  const key = await pushKey();
  if (key === null) return set(push, "unavailable");
  await register(key);
}

async function register(key) {
  const subscription = await subscribed(key);
  const { endpoint, keys } = subscription.toJSON();
  const language = document.documentElement.lang === "en" ? "en" : "zh";
  try {
    const answer = await call("POST", "devices", { web_push: { endpoint, keys }, language });
    if (root.dataset.state !== "signed-in") throw new Refused("ended"); // signed out meanwhile
    await keep("device", (await answer.json()).id);
  } catch (error) {
    await subscription.unsubscribe(); // what the platform does not know must not look as if it were on
    throw error;
  }
  push.querySelector("[data-since]").textContent = timeText(Date.now());
  set(push, "on");
}

/** This browser's subscription under the platform's key. */
async function subscribed(key) {
  await navigator.serviceWorker.register(`${ISSUER}/push-worker.js`);
  const { pushManager } = await navigator.serviceWorker.ready;
  const before = await pushManager.getSubscription();
  if (before && String(new Uint8Array(before.options.applicationServerKey)) === String(key)) return before;
  await before?.unsubscribe(); // the platform has another key now
  try {
    return await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch (error) {
    throw new Refused(error.name === "AbortError" ? "push_service_unreachable" : error.name);
  }
}

/** End push here. When the platform is away the subscription ends all the same; it finds that out at its next push. */
async function stopPush() {
  const id = await read("device");
  try {
    if (id) await removeDevice(id);
  } finally {
    if (canPush) await (await subscriptionNow())?.unsubscribe();
    await forget("device");
  }
}

async function unsubscribe() {
  set(push, "stopping");
  await stopPush().catch((error) => {
    if (error.code !== "unreachable") throw error;
  });
  set(push, "off");
}

async function showingPush(work) {
  try {
    await work();
  } catch (error) {
    if (error.code === "ended") return ended();
    set(push, "failed", error.code ?? error.name);
  }
}

// ---- settings

const settings = root && find("#settings");
let saved = Promise.resolve();

async function loadSettings() {
  const { kinds, silent_types } = await (await call("GET", "notification-settings")).json();
  for (const field of settings.querySelectorAll("[data-kind]")) {
    for (const input of field.querySelectorAll("input")) input.checked = kinds[field.dataset.kind][input.name];
    field.disabled = false;
  }
  const silent = settings.querySelector("[data-silent]");
  for (const input of silent.querySelectorAll("input")) input.checked = silent_types.includes(input.name);
  silent.disabled = false;
}

const channelsOf = (field) => Object.fromEntries([...field.querySelectorAll("input")].map((one) => [one.name, one.checked]));

/** Save what the form shows; one after the other, so that the last choice wins. */
async function saveSettings() {
  const saving = find("#saving");
  set(saving, "saving");
  const fields = [...settings.querySelectorAll("[data-kind]")];
  const kinds = Object.fromEntries(fields.map((field) => [field.dataset.kind, channelsOf(field)]));
  const silent_types = [...settings.querySelectorAll("[data-silent] input:checked")].map((one) => one.name);
  try {
    await call("PUT", "notification-settings", { kinds, silent_types });
    set(saving, "saved");
  } catch (error) {
    if (error.code === "ended") return ended();
    set(saving, "failed", error.code ?? error.name);
    await loadSettings().catch(() => undefined); // away: what is shown is told to be unsaved
  }
}

// ---- the page

/** Do what was asked, and say so when it could not be done. */
async function act(work) {
  const problem = find("#problem");
  try {
    await work();
    problem.hidden = true;
  } catch (error) {
    if (error.code === "ended") return ended();
    tell(problem, error.code ?? error.name);
  }
}

async function showSignedIn() {
  set(root, "signed-in");
  set(push, "asking");
  watch();
  await Promise.all([act(load), showingPush(startPush)]);
}

const load = () => Promise.all([reload(), loadSettings()]);

async function tryToSignIn(work) {
  try {
    await work();
  } catch (error) {
    showSignedOut(error.code ?? error.name);
  }
}

const DOING = {
  "sign-in": () => tryToSignIn(signIn),
  "sign-out": signOut,
  subscribe: () => showingPush(subscribe),
  unsubscribe: () => showingPush(unsubscribe),
  reload: () => act(load),
  older: () => act(older),
  "read-all": () => act(readAll),
};

async function onPress(event) {
  const button = event.target.closest("button");
  if (!button || button.ariaBusy === "true") return;
  const item = button.closest(".message");
  const work = item ? () => act(() => onMessage(button, item)) : DOING[button.dataset.do];
  button.ariaBusy = "true";
  await work?.();
  button.ariaBusy = null;
}

async function start() {
  const answered = new URLSearchParams(location.search);
  if (location.search) history.replaceState(null, "", location.pathname);
  if (location.origin !== new URL(ISSUER).origin) return set(root, "elsewhere");
  let signedIn;
  try {
    signedIn = Boolean(await read("session"));
    if (!crypto.subtle || !navigator.locks) return set(root, "unable");
  } catch {
    return set(root, "unable");
  }
  root.addEventListener("click", onPress);
  settings.addEventListener("submit", (event) => event.preventDefault());
  settings.addEventListener("change", () => (saved = saved.then(saveSettings)));
  otherTabs.onmessage = () => showSignedOut();
  addEventListener("online", () => root.dataset.state === "signed-in" && watch());
  if (signedIn) return showSignedIn();
  if (!answered.has("state")) return showSignedOut();
  await tryToSignIn(async () => {
    await finishSignIn(answered);
    await showSignedIn();
  });
}

if (root) start();
