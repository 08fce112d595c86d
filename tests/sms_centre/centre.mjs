// An SMS centre for tests. Everything it does is said on standard output, one JSON line each.
// The last four digits of a number say what happens to a message:
// 0001 throttled the first time, 0002 no such number, 0003 taken but never answered, 0004 taken, then the line breaks,
// 0005 taken, later undelivered, 0006 throttled always, 0007 taken, then the centre dies. Everything else is delivered at once.
import smpp from "smpp";

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const throttled = new Set();
let count = 0;

const server = smpp.createServer((session) => {
  session.on("error", () => {});
  session.on("bind_transceiver", (pdu) => {
    const known = pdu.system_id === "wallet" && pdu.password === "secret";
    session.send(pdu.response(known ? {} : { command_status: smpp.ESME_RBINDFAIL }));
    say({ event: known ? "bound" : "refused" });
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => {
    const to = pdu.destination_addr, ending = to.slice(-4);
    if (ending === "0006" || (ending === "0001" && !throttled.has(to))) {
      throttled.add(to);
      return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    if (ending === "0002") return session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
    const id = `m${++count}`;
    const raw = pdu.short_message;
    say({
      event: "taken", id, to, from: pdu.source_addr, coding: pdu.data_coding, receipt: pdu.registered_delivery,
      header: raw.udh ? Buffer.concat(raw.udh).toString("hex") : "", text: raw.message.toString(),
    });
    if (ending === "0003") return;
    if (ending === "0007") return setTimeout(() => process.kill(process.pid, "SIGKILL"), 1);
    if (ending === "0004") return session.socket.destroy();
    session.send(pdu.response({ message_id: id }));
    if (!pdu.registered_delivery) return;
    const stat = ending === "0005" ? "UNDELIV" : "DELIVRD";
    setTimeout(() => session.deliver_sm({
      source_addr: to, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2611260900 done date:2611260901 stat:${stat} err:000 text:`,
    }), 5);
  });
});
server.on("error", () => {});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => say({ event: "listening", port: server.address().port }));
