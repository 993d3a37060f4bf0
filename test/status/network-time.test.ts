import type { Engine } from "../../firmware/engine/engine";
import { networkTime } from "../../firmware/status/network-time";

const SERVER = "192.168.1.1";
const UNIX = 1_700_000_000;

function bench(host = SERVER) {
  let now = 1000;
  const timers: { at: number; run: () => void }[] = [];
  const sent: string[] = [];
  let received: (bytes: string, address: string) => void = () => {};
  let open = 0;
  const engine = {
    now: () => now,
    after(ms: number, run: () => void) {
      timers.push({ at: now + ms, run });
      return 1;
    },
    openDatagrams(_port: number, handler: typeof received) {
      open++;
      received = handler;
      return {
        send: (bytes: string, to: string) => sent.push(`${to} ${bytes.length} ${bytes.charCodeAt(0)}`) > 0,
        close: () => open--,
      };
    },
  } as unknown as Engine;
  const time = networkTime(engine, host);
  return {
    time,
    sent,
    sockets: () => open,
    reply(seconds: number, from = SERVER, mode = 4, length = 48) {
      const bytes = Buffer.alloc(48);
      bytes[0] = 0x20 | mode;
      bytes.writeUInt32BE((seconds + 2208988800) >>> 0, 40);
      received(bytes.toString("latin1").slice(0, length), from);
    },
    pass(ms: number) {
      const end = now + ms;
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers.splice(timers.indexOf(due), 1);
        now = due.at;
        due.run();
      }
      now = end;
    },
  };
}

it("asks as a client does, and goes on from the answer", () => {
  const one = bench();
  expect(one.sent).toEqual([`${SERVER} 48 35`]);
  expect(one.time()).toBe(0);
  one.pass(400);
  one.reply(UNIX);
  expect(one.time()).toBe(UNIX);
  one.pass(60_000);
  expect(one.time()).toBe(UNIX + 60);
  expect(one.sockets()).toBe(0);
});

it("asks again, sooner without an answer, and forgets nothing", () => {
  const one = bench();
  one.pass(36_000);
  expect(one.sent).toHaveLength(2);
  one.reply(UNIX);
  one.pass(3_000_000);
  expect(one.sent).toHaveLength(2);
  one.pass(700_000);
  expect(one.sent).toHaveLength(3);
  one.pass(3_700_000);
  expect(one.time()).toBeGreaterThan(UNIX + 7_000);
});

it.each([
  ["a stranger", [UNIX, "192.168.1.9"]],
  ["a client", [UNIX, SERVER, 3]],
  ["half a packet", [UNIX, SERVER, 4, 40]],
  ["a clock that was never set", [-2208988800, SERVER]],
] as [string, [number, string, number?, number?]][])("does not believe %s", (_, reply) => {
  const one = bench();
  one.reply(...reply);
  expect(one.time()).toBe(0);
});

it("believes no late answer, and asks nobody without a server", () => {
  const one = bench();
  one.pass(6_000);
  one.reply(UNIX);
  expect(one.time()).toBe(0);
  expect(bench("").sent).toEqual([]);
});
