/** Traffic of a node with itself, whose cost on a real interpreter is compared with what the virtual chip charges. */
import { encodeStorage } from "../device/storage-image";
import { ESP32 } from "../simulator/chip/board";
import { Chip } from "../simulator/chip/chip";
import { World } from "../simulator/world";

export interface NetworkWork {
  name: string;
  /** A program that does it so many times, and then calls quit(). */
  program: (times: number) => string;
}

/** A long receive buffer as on a node, so that a datagram comes whole and a piece is as long as it was written. */
const datagram = (bytes: number): NetworkWork => ({
  name: `datagram of ${bytes} B, sent and received`,
  program: (times) => `var left=${times},d="x".repeat(${bytes}),c=require("dgram").createSocket("udp4");
require("dgram").createSocket({type:"udp4",reuseAddr:true,recvBufferSize:1480}).bind(7801,function(b){
b.on("message",function(m){if(--left>0)c.send(d,7801,"127.0.0.1");else setTimeout(quit,1)})});
setTimeout(function(){c.send(d,7801,"127.0.0.1")},50)`,
});

const piece = (bytes: number): NetworkWork => ({
  name: `TCP piece of ${bytes} B there and back`,
  program: (times) => `var left=${times},d="x".repeat(${bytes});
require("net").createServer(function(s){s.on("data",function(m){s.write(d)})}).listen(7802);
setTimeout(function(){var c=require("net").connect({host:"127.0.0.1",port:7802},function(){
c.on("data",function(m){if(--left>0)c.write(d);else setTimeout(quit,1)});c.write(d)})},50)`,
});

export const NETWORK: NetworkWork[] = [
  datagram(100),
  datagram(500),
  datagram(1000),
  piece(100),
  piece(300),
  piece(500),
];

/** Instructions that a virtual chip with a network charges until the program has called quit(). */
export function chargedOnNetwork(program: string): number {
  const world = new World();
  const { mac, netFactory } = world.addNode({ mac: "24:0a:c4:00:00:10" });
  const flash = encodeStorage([{ name: ".boot0", data: ";" }], { areaBytes: 64 * 4096, pageBytes: 4096 });
  const chip = new Chip({ clock: world.events, mac, network: netFactory, flash });
  chip.powerOn();
  world.events.run(ESP32.bootMs + 1000);
  const before = chip.stats.instructions;
  chip.evaluate(`function quit(){global.over=true}${program}`);
  while (!chip.evaluate("global.over")) world.events.run(world.events.now() + 100);
  return chip.stats.instructions - before;
}
