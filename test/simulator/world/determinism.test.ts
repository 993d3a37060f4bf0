import { createHash } from "node:crypto";
import { World } from "../../../host-tools/simulator/world";
import { startChips } from "./test-port";

/* eslint-disable @typescript-eslint/no-explicit-any -- Espruino's sockets are used as firmware uses them, untyped */

/** A tree of nodes that join, broadcast, talk TCP, lose links and restart; the hash covers every frame on air. */
function trace(seed: number): { hash: string; frames: number; messages: number } {
  const world = new World({ seed, radio: { loss: { mean: 0.2, burst: 30 } } });
  const hash = createHash("sha256");
  let frames = 0;
  let messages = 0;
  world.observe((frame) => {
    frames++;
    hash.update(JSON.stringify(frame));
  });
  const chips = startChips(world, 21, (i) => ({ x: (i % 5) * 10, y: Math.floor(i / 5) * 10 }));
  chips.forEach((chip, i) => {
    const address = { ip: `10.0.${i}.1`, gw: `10.0.${i}.1`, netmask: "255.255.255.0" };
    const parent = Math.floor((i - 1) / 4);
    const bind = () => {
      chip.Wifi.setAPIP(address, () => {});
      chip.net.createServer((s: any) => s.on("data", (d: string) => s.write(d))).listen(5555);
      chip.dgram.createSocket("udp4").bind(5556, (s: any) => s.on("message", () => messages++));
      const sender = chip.dgram.createSocket("udp4");
      const tick = () => {
        chip.run(() => sender.send("x".repeat(100 + i), 5556, `10.0.${i}.255`));
        world.events.after(1000, tick);
      };
      world.events.after(20_000 + i, tick);
    };
    chip.run(() => {
      if (!i) chip.Wifi.startAP("n0", {}, bind);
      else {
        chip.Wifi.connect(`n${parent}`, {}, () => {
          chip.Wifi.startAP(`n${i}`, {}, bind);
          const socket = chip.net.connect({ host: `10.0.${parent}.1`, port: 5555 });
          socket.on("data", () => messages++);
          socket.write("hello");
        });
      }
    });
    // Parents first, so that everyone finds one.
    world.events.run(world.events.now() + (i < 5 ? 6000 : 300));
  });
  world.events.run(world.events.now() + 20_000);
  world.cutLink(chips[0]!.node, chips[1]!.node);
  chips[2]!.down();
  world.events.run(world.events.now() + 20_000);
  return { hash: hash.digest("hex"), frames, messages };
}

test("the same seed gives the same run, frame by frame; another seed another one", () => {
  const first = trace(5);
  expect(first.frames).toBeGreaterThan(200);
  expect(first.messages).toBeGreaterThan(100);
  expect(trace(5)).toEqual(first);
  expect(trace(6).hash).not.toBe(first.hash);
});
