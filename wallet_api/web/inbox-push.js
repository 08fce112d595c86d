// Push in this browser.

import { ISSUER, Refused, TIMEOUT_MS, codeOf } from "./inbox-platform.js";
import { find, root, set, timeText } from "./inbox-parts.js";
import { PAGE, call, gone } from "./inbox-session.js";
import { forget, keep, read } from "./inbox-store.js";

const push = find("#push");
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
export async function startPush() {
  set(push, "asking");
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
export async function subscribe() {
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
export async function stopPush() {
  const id = await read("device");
  try {
    if (id) await removeDevice(id);
  } finally {
    if (canPush) await (await subscriptionNow())?.unsubscribe();
    await forget("device");
  }
}

export async function unsubscribe() {
  set(push, "stopping");
  await stopPush().catch((error) => {
    if (error.code !== "unreachable") throw error;
  });
  set(push, "off");
}

export const pushFailed = (code) => set(push, "failed", code);
