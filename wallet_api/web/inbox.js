// The inbox page: what it does when it is opened, pressed and left.

import { stopWatching, watch } from "./inbox-live.js";
import { clear, older, onMessage, readAll, reload } from "./inbox-messages.js";
import { find, root, set, tell } from "./inbox-parts.js";
import { ISSUER } from "./inbox-platform.js";
import { pushFailed, startPush, stopPush, subscribe, unsubscribe } from "./inbox-push.js";
import { finishSignIn, otherTabs, signIn, wipeSession } from "./inbox-session.js";
import { chosen, loadSettings, notSaved, saveSettings } from "./inbox-settings.js";
import { forget, read } from "./inbox-store.js";

const problem = find("#problem");
let settingsAsked = Promise.resolve();

/** Do `work`. When the session has ended, that is shown; any other refusal is for `failed` to tell. */
async function attempt(work, failed) {
  try {
    await work();
  } catch (error) {
    if (error.code !== "ended") return failed(error.code ?? error.name);
    if (root.dataset.state === "signed-out") return; // it has been ended here
    await forget("session");
    showSignedOut("ended");
  }
}

/** Do what was asked, and say so when it could not be done. */
async function act(work) {
  const done = async () => {
    await work();
    problem.hidden = true;
  };
  await attempt(done, (code) => tell(problem, code));
}

/** Ask for or save settings one after the other, so that the last choice wins and no answer overtakes another. */
function inTurn(work) {
  const done = settingsAsked.then(work);
  settingsAsked = done.catch(() => undefined);
  return done;
}

const load = () => Promise.all([reload(), inTurn(loadSettings)]);
const loadSettingsAgain = () => inTurn(() => attempt(loadSettings, () => undefined)); // each change asks too
const live = () => attempt(() => watch(loadSettingsAgain)); // its other troubles it tells itself

async function showSignedIn() {
  set(root, "signed-in");
  live();
  await Promise.all([act(load), attempt(startPush, pushFailed)]);
}

/** Show that nobody is signed in, and nothing of who was. */
function showSignedOut(code) {
  stopWatching();
  clear();
  const refusal = find("#sign-in-problem");
  if (code) tell(refusal, code);
  else refusal.hidden = true;
  set(root, "signed-out");
}

/** Take device, subscription, key and tokens out; without a network all but what the platform knows of the device. */
async function signOut() {
  stopWatching();
  await stopPush().catch(() => undefined);
  await wipeSession();
  showSignedOut();
}

const DOING = {
  "sign-in": () => attempt(signIn, showSignedOut),
  "sign-out": signOut,
  subscribe: () => attempt(subscribe, pushFailed),
  unsubscribe: () => attempt(unsubscribe, pushFailed),
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

function onChange({ target }) {
  const change = chosen(target);
  inTurn(() => attempt(() => saveSettings(change), notSaved));
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
  find("#settings").addEventListener("submit", (event) => event.preventDefault());
  find("#settings").addEventListener("change", onChange);
  otherTabs.onmessage = () => showSignedOut();
  addEventListener("online", () => root.dataset.state === "signed-in" && live());
  if (signedIn) return showSignedIn();
  if (!answered.has("state")) return showSignedOut();
  const finish = async () => {
    await finishSignIn(answered);
    await showSignedIn();
  };
  await attempt(finish, showSignedOut);
}

start();
