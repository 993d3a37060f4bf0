/**
 * The order of socket events: the same script runs in a real Espruino on loopback and on two virtual ESP32s, and must
 * log the same lines. The virtual sockets are a translation of Espruino's; this keeps them one.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { World } from "../../host-tools/simulator/world";
import { joinAll, startChips, type TestChip } from "../simulator/world/test-port";

const ESPRUINO = process.env["ESPRUINO"];

/** `L` logs, `T` sets a timer, `net`, `dgram`, `HOST` and `PORT` are given. */
const SCRIPTS: { [name: string]: { server: string; client: string } } = {
  "a connection that the client ends": {
    server: `net.createServer(function (s) {
      L("S accept");
      s.on("data", function (d) { L("S data " + d); if (d == "ping") s.write("pong"); });
      s.on("drain", function () { L("S drain"); });
      s.on("end", function () { L("S end"); });
      s.on("close", function (e) { L("S close " + e); });
    }).listen(PORT);`,
    client: `var c = net.connect({ host: HOST, port: PORT }, function (s) { L("C connect " + (s === c)); s.write("pi"); s.write("ng"); });
      c.on("data", function (d) { L("C data " + d); });
      c.on("drain", function () { L("C drain"); });
      c.on("end", function () { L("C end"); });
      c.on("close", function (e) { L("C close " + e); try { c.write("x"); } catch (x) { L(x.message); } });
      T(function () { c.end(); }, 300);`,
  },
  "bytes written before the connection is reported, and a server that ends": {
    server: `net.createServer(function (s) {
      s.on("data", function (d) { L("S data " + d); s.end("bye"); });
      s.on("drain", function () { L("S drain"); });
      s.on("close", function (e) { L("S close " + e); });
    }).listen(PORT);`,
    client: `var c = net.connect({ host: HOST, port: PORT }, function () { L("C connect"); });
      c.on("drain", function () { L("C drain"); });
      c.on("data", function (d) { L("C data " + d); });
      c.on("end", function () { L("C end"); });
      c.on("close", function (e) { L("C close " + e); });
      c.write("early");`,
  },
  "a refused connection": {
    server: ``,
    client: `try { net.connect({ host: HOST, port: PORT }); L("returned"); } catch (e) { L("threw " + e.message); }`,
  },
  "datagrams, both forms of send, and closing": {
    server: `var r = dgram.createSocket({ type: "udp4", recvBufferSize: 1480 });
      r.on("connect", function () { L("S connect"); });
      r.on("drain", function () { L("S drain"); });
      r.on("end", function () { L("S end"); });
      r.on("close", function (e) { L("S close " + e); });
      r.bind(PORT, function (b) {
        L("S bound " + (b === r));
        b.on("message", function (m, i) { L("S message " + m + " " + m.length + " " + i.size + " " + typeof i.port); });
      });
      T(function () { r.close(); }, 600);`,
    client: `var s = dgram.createSocket("udp4", function () { L("C callback"); });
      s.on("drain", function () { L("C drain"); });
      s.on("end", function () { L("C end"); });
      s.on("close", function (e) { L("C close " + e); try { s.send("x", PORT, HOST); } catch (x) { L(x.message); } });
      s.send("hello", PORT, HOST);
      T(function () { s.send("0123456789", 2, 3, PORT, HOST); }, 150);
      T(function () { s.send("one", PORT, HOST); s.send("two", PORT, HOST); }, 300);
      T(function () { s.close(); }, 450);`,
  },
  "data that comes before anyone listens": {
    server: `net.createServer(function (s) {
      T(function () { L("S has " + s.available() + " " + s.read(2)); s.on("data", function (d) { L("S data " + d); }); }, 200);
    }).listen(PORT);`,
    client: `var c = net.connect({ host: HOST, port: PORT }); c.write("waiting"); T(function () { c.write("more"); }, 400);`,
  },
};

/** Lines of each side, server first: what runs on two chips has no common order. */
function sorted(lines: string[]): string[] {
  return [...lines.filter((line) => line.startsWith("S")), ...lines.filter((line) => !line.startsWith("S"))];
}

function onEspruino(script: { server: string; client: string }, port: number): string[] {
  const directory = mkdtempSync(join(tmpdir(), "espalier-net-"));
  try {
    const code = `var net = require("net"), dgram = require("dgram"), HOST = "127.0.0.1", PORT = ${port}, T = setTimeout;
      function L(s) { print("=" + s); }
      T(function () { ${script.server} }, 10);
      T(function () { ${script.client} }, 200);
      T(function () { quit(); }, 1500);`;
    writeFileSync(join(directory, "script.js"), code);
    const output = execFileSync(ESPRUINO!, ["script.js"], {
      cwd: directory,
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 20_000,
    });
    // Everything between the marker and the end of the line; the console's prompt may stand before it.
    return [...output.toString("latin1").matchAll(/=([^\r\n]*)/g)].map((match) => match[1]!);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function onVirtualChips(script: { server: string; client: string }, port: number): string[] {
  const world = new World({ seed: 1, radio: { shadowingDb: 0 } });
  const [server, client] = startChips(world, 2) as [TestChip, TestChip];
  joinAll(world, server, [client]);
  const lines: string[] = [];
  const start = (chip: TestChip, code: string): void => {
    const timer = (run: () => void, ms: number) => world.events.after(ms, () => chip.run(run));
    const run = new Function("net", "dgram", "HOST", "PORT", "T", "L", code);
    chip.run(() => run(chip.net, chip.dgram, "10.0.1.1", port, timer, (line: string) => lines.push(line)));
  };
  start(server, script.server);
  world.events.run(world.events.now() + 190);
  start(client, script.client);
  world.events.run(world.events.now() + 1300);
  expect([...server.errors, ...client.errors]).toEqual([]);
  return lines;
}

if (!ESPRUINO) {
  test("socket events on a real Espruino: skipped, set ESPRUINO to its binary (build it for Linux, or espruino.com)", () => {
    process.stdout.write("net-events: skipped, ESPRUINO names no Espruino binary\n");
    expect(Object.keys(SCRIPTS).length).toBeGreaterThan(0);
  });
} else {
  test.each(Object.keys(SCRIPTS))("%s", (name) => {
    const port = 20_000 + (process.pid % 20_000) + Object.keys(SCRIPTS).indexOf(name);
    expect(sorted(onVirtualChips(SCRIPTS[name]!, port))).toEqual(sorted(onEspruino(SCRIPTS[name]!, port)));
  });
}
