// The service worker that shows pushed messages. A message: {message_id, kind, title, text}.
"use strict";

const BASE = new URL("./", self.location.href);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let message;
  try {
    message = event.data.json();
  } catch {
    message = {};
  }
  const title = message.title || "亮证";
  const shown = self.registration.showNotification(title, {
    body: message.text || "有新消息，请打开钱包查看。 / A new message: open your wallet.",
    tag: message.message_id,
    icon: new URL("assets/mark.svg", BASE).href,
  });
  // The platform learns that it arrived, so that no SMS need follow.
  const known = /^[0-9a-f]{32}$/.test(message.message_id || "");
  const told = known
    ? fetch(new URL(`api/v1/push-receipts/${message.message_id}`, BASE), { method: "POST" }).catch(() => undefined)
    : undefined;
  event.waitUntil(Promise.all([shown, told]));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const inbox = new URL("inbox", BASE).href;
  event.waitUntil(
    self.clients.matchAll({ type: "window", includeUncontrolled: true }).then((windows) => {
      const open = windows.find((one) => one.url.split(/[?#]/)[0] === inbox);
      return open ? open.focus() : self.clients.openWindow(inbox);
    }),
  );
});
