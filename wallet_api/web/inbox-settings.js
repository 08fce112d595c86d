// What the holder is told, and where.

import { find, set, tell } from "./inbox-parts.js";
import { call } from "./inbox-session.js";

const settings = find("#settings");
const saving = find("#saving");
const waiting = new Set(); // changes that are not saved yet, the oldest first
let held = null; // the settings that were last known to hold

const kindOf = (input) => input.closest("fieldset").dataset.kind; // a licence type's switch has none, nor has the language

function show(input, to) {
  input[input.type === "checkbox" ? "checked" : "value"] = to;
}

/** Show what holds, and where a switch waits for its turn, its change. */
function draw(now) {
  held = now;
  const { kinds, silent_types, language } = now;
  for (const input of settings.querySelectorAll("input")) {
    const kind = kindOf(input);
    show(input, kind ? kinds[kind][input.name] : silent_types.includes(input.name));
  }
  show(settings.elements.language, language ?? "");
  for (const { input, to } of waiting) show(input, to);
  for (const field of settings.querySelectorAll("fieldset")) field.disabled = false;
}

const ask = async () => (await call("GET", "notification-settings")).json();

export async function loadSettings() {
  draw(await ask());
}

/** Note how a switch was put; for `saveSettings`. */
export function chosen(input) {
  const change = { input, to: input.type === "checkbox" ? input.checked : input.value };
  waiting.add(change);
  return change;
}

/** These settings with one change. */
function changed(now, { input, to }) {
  const kind = kindOf(input);
  if (kind) now.kinds[kind][input.name] = to;
  else if (input.name === "language") now.language = to || null;
  else now.silent_types = [...now.silent_types.filter((code) => code !== input.name), ...(to ? [input.name] : [])];
  return now;
}

/** Save one change to the settings as they stand: another window may have changed others. */
export async function saveSettings(change) {
  set(saving, "saving");
  let now;
  try {
    now = await (await call("PUT", "notification-settings", changed(await ask(), change))).json();
  } finally {
    waiting.delete(change);
  }
  draw(now);
  set(saving, "saved");
}

export async function notSaved(code) {
  tell(saving, code);
  draw(held);
  await loadSettings().catch(() => undefined); // away: what was last known is shown
}
