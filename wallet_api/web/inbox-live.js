// Messages as they come: server-sent events by fetch, because EventSource carries no proof.

import { glance } from "./inbox-messages.js";
import { find, set } from "./inbox-parts.js";
import { call } from "./inbox-session.js";

const SILENCE_MS = 45_000; // the stream sends a comment every 15 s
const RETRY_MS = 2_000;
const RETRY_AT_MOST_MS = 60_000;
let watching = null;

export function stopWatching() {
  watching?.abort();
}

/** Follow the stream of events until `stopWatching` or the session's end, and open it again when it ends or breaks;
 * `reopened` is called each time that it is open again. */
export async function watch(reopened) {
  stopWatching();
  const { signal } = (watching = new AbortController());
  const live = find("#live");
  let wait_ms = RETRY_MS;
  const opened = () => {
    wait_ms = RETRY_MS;
    if (live.dataset.state !== "asking") reopened();
    set(live, "ok");
  };
  while (!signal.aborted) {
    try {
      await follow(signal, opened);
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === "ended") throw error;
      set(live, "unreachable");
      wait_ms = Math.min(2 * wait_ms, RETRY_AT_MOST_MS);
    }
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}

/** Read one stream to its end. */
async function follow(signal, opened) {
  const one = new AbortController();
  const stop = () => one.abort();
  signal.addEventListener("abort", stop);
  let silence = setTimeout(stop, SILENCE_MS);
  try {
    const answer = await call("GET", "inbox/events", undefined, one.signal);
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
