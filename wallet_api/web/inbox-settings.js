// What the holder is told, and where.

import { find, set, tell } from "./inbox-parts.js";
import { call } from "./inbox-session.js";

const settings = find("#settings");
const saving = find("#saving");
const waiting = new Set(); // changes that are not saved yet, the oldest first
let held = null; // the settings that were last known to hold

const kindOf = (input) => input.closest("fieldset").dataset.kind; // a licence type's switch has none

/** Show what holds, and where a switch waits for its turn, its change. */
function draw(now) {
  held = now;
  const { kinds, silent_types } = now;
  for (const input of settings.querySelectorAll("input")) {
    const kind = kindOf(input);
    input.checked = kind ? kinds[kind][input.name] : silent_types.includes(input.name);
  }
  for (const { input, on } of waiting) input.checked = on;
  for (const field of settings.querySelectorAll("fieldset")) field.disabled = false;
}

const ask = async () => (await call("GET", "notification-settings")).json();

export async function loadSettings() {
  draw(await ask());
}

/** Note how a switch was put; for `saveSettings`. */
export function chosen(input) {
  const change = { input, on: input.checked };
  waiting.add(change);
  return change;
}

/** These settings with one change. Types that the platform no longer has, so that they have no switch, are left out. */
function changed({ kinds, silent_types }, { input, on }) {
  const kind = kindOf(input);
  if (kind) kinds[kind][input.name] = on;
  const types = [...settings.querySelectorAll("[data-silent] input")];
  const silent = types.filter((type) => (type === input ? on : silent_types.includes(type.name)));
  return { kinds, silent_types: silent.map((type) => type.name) };
}

/** Save one change to the settings as they stand: another window may have changed others. */
export async function saveSettings(change) {
  set(saving, "saving");
  try {
    const answer = await call("PUT", "notification-settings", changed(await ask(), change));
    held = await answer.json();
  } finally {
    waiting.delete(change);
  }
  draw(held);
  set(saving, "saved");
}

export async function notSaved(code) {
  tell(saving, code);
  draw(held);
  await loadSettings().catch(() => undefined); // away: what was last known is shown
}
