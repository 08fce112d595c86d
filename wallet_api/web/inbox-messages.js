// The list of messages.

import { find, root, timeText } from "./inbox-parts.js";
import { call, gone } from "./inbox-session.js";

const PAGE_SIZE = 20;
const MOST = 100; // the API's own limit for one page
const title = document.title;
const list = find("#messages");
let messages = [];
let unreadShown = 0;
let cursor = null;

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

export const clear = () => draw([], 0, null);

/** So many messages from there on, page by page. `unread` is the first page's: what changes later, an event tells. */
async function ask(count, from) {
  const query = new URLSearchParams({ limit: Math.min(MOST, count), ...(from && { cursor: from }) });
  const page = await (await call("GET", `inbox?${query}`)).json();
  const missing = count - page.messages.length;
  if (missing <= 0 || page.next_cursor === null) return page;
  const { messages: others, next_cursor } = await ask(missing, page.next_cursor);
  return { messages: [...page.messages, ...others], unread: page.unread, next_cursor };
}

/** Ask for messages and show them after those; again when the list was drawn anew meanwhile, perhaps from a newer answer. */
async function load(wanted) {
  const [asked, shown] = [wanted(), messages];
  if (asked === null) return;
  const page = await ask(asked.count, asked.from);
  if (root.dataset.state !== "signed-in") return; // somebody has signed out meanwhile
  if (messages !== shown) return load(wanted);
  draw([...asked.before, ...page.messages], page.unread, page.next_cursor);
}

const newest = () => ({ before: [], count: Math.max(PAGE_SIZE, messages.length), from: null });
const following = () => cursor && { before: messages, count: PAGE_SIZE, from: cursor };

export const reload = () => load(newest);
export const older = () => load(following);

/** Load again where a glance, an event's {unread, newest_id}, tells of another list than the one shown. */
export async function glance(data) {
  if (!data) return; // a comment
  const { unread, newest_id } = JSON.parse(data);
  if (newest_id !== (messages[0]?.id ?? null) || unread !== unreadShown) await reload();
}

export async function readAll() {
  await call("POST", "inbox/read-all");
  await reload();
}

export async function onMessage(button, item) {
  const asked = item.querySelector("[data-confirm]");
  const path = `inbox/${item.dataset.id}`;
  if (button.dataset.message === "read") await call("POST", `${path}/read`).catch(gone("message_not_found"));
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
