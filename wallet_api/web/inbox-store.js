// What this browser keeps for this platform, in IndexedDB and nowhere else: `session`, `pending`, `device`.

import { ISSUER } from "./inbox-platform.js";

/** Run one transaction. */
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

export const read = (name) => kept("readonly", (store) => store.get(name));
export const keep = (name, value) => kept("readwrite", (store) => store.put(value, name));
export const forget = (name) => kept("readwrite", (store) => store.delete(name));
export const wipe = () => kept("readwrite", (store) => store.clear());
