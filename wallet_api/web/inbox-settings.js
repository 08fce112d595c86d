// What the holder is told, and where.

import { find, set } from "./inbox-parts.js";
import { call } from "./inbox-session.js";

const settings = find("#settings");
const saving = find("#saving");

export async function loadSettings() {
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

/** Save what the form shows. */
export async function saveSettings() {
  set(saving, "saving");
  const fields = [...settings.querySelectorAll("[data-kind]")];
  const kinds = Object.fromEntries(fields.map((field) => [field.dataset.kind, channelsOf(field)]));
  const silent_types = [...settings.querySelectorAll("[data-silent] input:checked")].map((one) => one.name);
  await call("PUT", "notification-settings", { kinds, silent_types });
  set(saving, "saved");
}

export async function notSaved(code) {
  set(saving, "failed", code);
  await loadSettings().catch(() => undefined); // away: what is shown is told to be unsaved
}
