"use strict";
// All pages work without this script; it only chooses a language, copies, asks for the health and looks at a code's form.

const LANGUAGES = ["zh-CN", "en"];
const STORED_LANGUAGE = "liangzheng.language";
const HEALTH_TIMEOUT_MS = 5000;
const MAX_CODE_CHARACTERS = 4296; // QR 40-L, alphanumeric (FORMAT.md §1)
const html = document.documentElement;

/** Of the parts of `element` that name a state, show those of this one. */
function show(element, state) {
  for (const part of element.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== state;
}

// ---- language

function storedLanguage() {
  try {
    const stored = localStorage.getItem(STORED_LANGUAGE);
    return LANGUAGES.includes(stored) ? stored : null;
  } catch {
    return null; // storage is blocked: the browser's language does
  }
}

function browserLanguage() {
  return /^zh\b/i.test(navigator.languages?.[0] ?? navigator.language ?? "") ? "zh-CN" : "en";
}

function useLanguage(language) {
  html.lang = html.dataset.language = language;
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choose === language));
  }
}

function chooseLanguage(language) {
  useLanguage(language);
  try {
    localStorage.setItem(STORED_LANGUAGE, language);
  } catch {
    // storage is blocked: the choice holds for this page
  }
}

// ---- copying

async function copy(button) {
  const commands = button.closest(".commands");
  const pre = commands.querySelector("pre");
  const feedback = commands.querySelector("[data-copying]");
  const text = [...pre.querySelectorAll("code")].map((code) => code.textContent).join("\n");
  for (const told of document.querySelectorAll("[data-copying]")) show(told, "none"); // only the last copy is in the clipboard
  try {
    await navigator.clipboard.writeText(text);
    show(feedback, "copied");
  } catch {
    getSelection().selectAllChildren(pre); // no clipboard outside https and this machine, or it was refused
    show(feedback, "selected");
  }
}

// ---- health

/** One of `ok`, `not-ready`, `unreachable`, `odd`, with the parts that are not ok. */
async function askHealth(url) {
  let answer, body;
  try {
    answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
  } catch {
    return ["unreachable", ""];
  }
  try {
    body = await answer.json();
  } catch {
    return ["odd", `HTTP ${answer.status}`];
  }
  if (answer.status === 200 && body?.status === "ok") return ["ok", ""];
  if (answer.status !== 503 || body?.status !== "not ready") return ["odd", `HTTP ${answer.status}`];
  const missing = Object.entries(body).filter(([name, state]) => name !== "status" && state !== "ok");
  return ["not-ready", missing.map(([name, state]) => `${name}: ${state}`).join(", ")];
}

async function checkHealth(health) {
  const set = (state, parts) => {
    health.dataset.state = state;
    health.querySelector("[data-parts]").textContent = parts;
    show(health, state);
  };
  set("asking", "");
  set(...(await askHealth(health.dataset.health)));
  const at = health.querySelector("[data-checked-at]");
  at.querySelector("time").textContent = new Date().toLocaleTimeString("zh-CN", { hour12: false });
  at.hidden = false;
}

// ---- the progress of an offer

const PROGRESS_EVERY_MS = 2000;
const FINAL_PROGRESS = ["redeemed", "over"];

/** Ask how far the offer has come until it can come no further. */
async function watch(offer) {
  let state = "unknown";
  try {
    const answer = await fetch(offer.dataset.progress, { cache: "no-store", signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    const told = answer.ok ? (await answer.json()).progress : "unknown";
    state = offer.querySelector(`[data-when="${CSS.escape(told)}"]`) ? told : "unknown";
  } catch {
    // it is asked again; meanwhile nothing is claimed
  }
  offer.dataset.state = state;
  show(offer, state);
  if (!FINAL_PROGRESS.includes(state)) setTimeout(() => watch(offer), PROGRESS_EVERY_MS);
}

// ---- a live code's form

/** What a fragment looks like; it says nothing about what it holds. Version and alphabet: FORMAT.md §1. */
function formOf(fragment) {
  if (fragment === "") return "none";
  if (/^[89]/.test(fragment)) return "paper";
  const code = /^1([A-Z2-7]+)$/.exec(fragment)?.[1];
  const whole = code && ![1, 3, 6].includes(code.length % 8); // no bytes make base32 of these lengths
  return whole && fragment.length <= MAX_CODE_CHARACTERS ? "known" : "unknown";
}

/** The form of the code in the address, which is taken out of the address and goes nowhere else. */
function takeCode() {
  const form = formOf(location.hash.slice(1));
  if (location.href.includes("#")) history.replaceState(null, "", location.pathname + location.search);
  return form;
}

// ---- what is looked at again

const REFRESH_MS = 3000;

/** Load a part of the page anew from time to time; one that was not answered stays as it was. */
function refresh(part) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(part.dataset.refreshed, { cache: "no-store" });
      if (!answer.ok) return;
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = parsed.querySelector("[data-refreshed]");
      if (fresh && fresh.innerHTML !== part.dataset.seen) {
        part.dataset.seen = fresh.innerHTML;
        part.replaceChildren(...fresh.childNodes);
      }
    } catch {
      // the platform is away: what is shown was true before
    }
  }, REFRESH_MS);
}

// ---- now

const isLiveCodePage = html.dataset.page === "live-code";
let form = isLiveCodePage ? takeCode() : null;
useLanguage(storedLanguage() ?? browserLanguage());

document.addEventListener("DOMContentLoaded", () => {
  useLanguage(html.dataset.language);
  for (const element of document.querySelectorAll("[data-scripted]")) element.hidden = false;
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => chooseLanguage(button.dataset.choose));
  }
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));

  const health = document.querySelector("[data-health]");
  if (health) {
    health.querySelector("[data-check]").addEventListener("click", () => checkHealth(health));
    checkHealth(health);
  }
  const offer = document.querySelector("[data-progress]");
  if (offer) watch(offer);
  for (const part of document.querySelectorAll("[data-refreshed]")) refresh(part);
  if (isLiveCodePage) {
    const card = document.getElementById("live-code");
    show(card, form);
    addEventListener("hashchange", () => {
      form = takeCode(); // the same tab was given another code
      show(card, form);
    });
  }
});
