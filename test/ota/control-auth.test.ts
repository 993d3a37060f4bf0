import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import type { Engine } from "../../firmware/engine/engine";
import {
  type ControlAuth,
  type ControlMesh,
  createControlAuth,
  hmac,
  hmacPads,
  meshKeyBytes,
} from "../../firmware/ota/control-auth";
import { type Package, packageText, parsePackage } from "../../firmware/wire/packages";
import { controlStart } from "../../host-tools/gateway/control-clock";
import { codecs } from "./support/update-mesh";

const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER = KEY.replace(/^00/, "01");
const OFFER = 710;
const ABORT = 713;
const START = 200_000_000;

interface Host {
  auth: ControlAuth;
  mesh: ControlMesh;
  /** Packages that were opened. */
  taken: Package[];
}

/** Hosts on one wire: everything travels as text, and everything is recorded. */
class Wire {
  time = 0;
  readonly record: string[] = [];
  readonly hosts = new Map<number, Host>();
  private readonly handlers = new Map<number, Map<number, (p: Package, neighbour: number) => void>>();
  private timers: { at: number; run: () => void; life: object }[] = [];
  private readonly lives = new Map<number, object>();
  private seed = 1;
  /** What becomes of a frame on its way; null loses it. */
  tamper: (text: string) => string | null = (text) => text;

  boot(id: number, options: { key?: string; start?: number; engineName?: Engine["name"] } = {}): Host {
    const life = {};
    const listeners = new Map<number, (p: Package, neighbour: number) => void>();
    this.lives.set(id, life);
    this.handlers.set(id, listeners);
    const engine = {
      ...codecs,
      now: () => this.time,
      random: () => (this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0),
      after: (delay: number, run: () => void) => this.timers.push({ at: this.time + delay, run, life }),
    } as unknown as Engine;
    const mesh: ControlMesh = {
      getNodeId: () => id,
      getNodeList: () => [...this.hosts.keys()].filter((one) => one !== id),
      sendPackage: (fields) => {
        this.put(packageText(fields));
        return true;
      },
      onPackage: (type, run) => void listeners.set(type, run),
    };
    const host: Host = { mesh, taken: [], auth: undefined as never };
    host.auth = createControlAuth(engine, mesh, { key: options.key ?? KEY, start: options.start ?? 0 });
    for (const type of [OFFER, ABORT]) {
      listeners.set(type, (p) => {
        if (host.auth.unseal(p)) host.taken.push(p);
      });
    }
    this.hosts.set(id, host);
    return host;
  }

  /** Takes a host away, without a word. */
  unplug(id: number): void {
    this.handlers.delete(id);
    this.hosts.delete(id);
    this.lives.delete(id);
  }

  /** A frame on the wire, whoever put it there. */
  put(text: string): void {
    this.record.push(text);
    const changed = this.tamper(text);
    if (changed === null) return;
    const p = parsePackage(changed, 150);
    if (typeof p === "number") return;
    for (const [id, listeners] of this.handlers) {
      if (id === p.from || (p.routing === 1 && p.dest !== id)) continue;
      listeners.get(p.type)?.(parsePackage(changed, 150) as Package, p.from);
    }
  }

  run(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((one) => one !== due);
      this.time = Math.max(this.time, due.at);
      if ([...this.lives.values()].includes(due.life)) due.run();
    }
    this.time = end;
  }
}

function say(host: Host, type: number, fields: object = {}, once = false): string {
  const p = host.auth.seal({ type, from: 0, dest: 0, routing: 2, ...fields }, once);
  host.mesh.sendPackage({ ...p });
  return packageText(p);
}

/** A computer (1) and nodes that have heard of it. */
function standing(nodes = 2): { wire: Wire; laptop: Host; nodes: Host[] } {
  const wire = new Wire();
  const laptop = wire.boot(1, { start: START });
  const list = Array.from({ length: nodes }, (_, i) => wire.boot(i + 2));
  say(laptop, OFFER);
  wire.run(10_000);
  for (const host of list) host.taken.length = 0;
  return { wire, laptop, nodes: list };
}

const counts = ({ auth }: Host): number[] => [auth.stats.forged, auth.stats.replayed, auth.stats.unproven];

describe("the code", () => {
  test("HMAC is that of RFC 4231 (case 1) and of Node.js", () => {
    const key = "\x0b".repeat(20);
    const [inner, outer] = hmacPads(key);
    const hex = (text: string): string => Buffer.from(text, "latin1").toString("hex");
    const engine = codecs as unknown as Engine;
    expect(hex(hmac(engine, inner, outer, "Hi There"))).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.uint8Array({ maxLength: 300 }), (k, m) => {
        const pads = hmacPads(Buffer.from(k).toString("latin1"));
        const mine = hex(hmac(engine, pads[0], pads[1], Buffer.from(m).toString("latin1")));
        return mine === createHmac("sha256", k).update(m).digest("hex");
      }),
    );
  });

  test("a key is 64 hex digits or base64 of 32 bytes", () => {
    const engine = codecs as unknown as Engine;
    const bytes = Buffer.from(KEY, "hex");
    expect(meshKeyBytes(engine, KEY)).toBe(bytes.toString("latin1"));
    expect(meshKeyBytes(engine, bytes.toString("base64"))).toBe(bytes.toString("latin1"));
    for (const bad of [KEY.slice(2), `${KEY.slice(2)}zz`, bytes.toString("base64").slice(4), "secret"]) {
      expect(meshKeyBytes(engine, bad)).toBeNull();
    }
    expect(() => new Wire().boot(1, { key: "secret" })).toThrow("meshKey");
  });
});

describe("a node that has proof", () => {
  test("takes broadcasts and what is for it alone, each once", () => {
    const { wire, laptop, nodes } = standing(3);
    say(laptop, OFFER, { id: "00ff", pace: 20, only: [2, 3] });
    say(laptop, ABORT, { routing: 1, dest: 3 });
    wire.run(5000);
    expect(nodes.map(({ taken }) => taken.map(({ type }) => type))).toEqual([[OFFER], [OFFER, ABORT], [OFFER]]);
    expect(nodes.map(counts)).toEqual(nodes.map(() => [0, 0, 1]));
  });

  test("refuses a package with any field changed, added or left out", () => {
    const { wire, laptop, nodes } = standing(1);
    const text = packageText(
      laptop.auth.seal({ type: OFFER, from: 0, dest: 0, routing: 2, id: "00112233", pace: 20, list: [1, 2], ok: true }),
    );
    const p = JSON.parse(text) as Record<string, unknown>;
    const changes: Record<string, unknown>[] = [];
    for (const [name, value] of Object.entries(p)) {
      if (name === "type" || name === "routing") continue;
      // Without `dest` a package is for nobody in particular, as with 0.
      if (name === "dest") continue;
      const rest = { ...p };
      delete rest[name];
      changes.push(rest);
      if (typeof value === "string") changes.push({ ...p, [name]: `${value}0` });
      if (typeof value === "number") changes.push({ ...p, [name]: value + 1 }, { ...p, [name]: String(value) });
    }
    changes.push({ ...p, extra: 1 }, { ...p, list: [2, 1] }, { ...p, list: { 0: 1, 1: 2 } }, { ...p, type: ABORT });
    changes.push(
      { ...p, list: "[1,2]" },
      { extra: 1, ...p },
      { ...p, ok: "true" },
      { ...p, tag: "" },
      { ...p, tag: 5 },
      { ...p, tag: [p.tag] },
    );
    for (const one of changes) wire.put(JSON.stringify(one));
    expect(nodes[0]!.taken).toEqual([]);
    // Without a number as `from` it is no package, and what comes from node 2 is its own.
    expect(nodes[0]!.auth.stats.forged).toBe(changes.length - 3);
    wire.put(JSON.stringify(p));
    expect(nodes[0]!.taken).toHaveLength(1);
  });

  test("refuses what another key sealed, and what none did", () => {
    const { wire, nodes } = standing(1);
    const stranger = wire.boot(9, { key: OTHER, start: START + 500 });
    say(stranger, OFFER);
    wire.put(JSON.stringify({ type: ABORT, from: 1, dest: 0, routing: 2 }));
    wire.run(5000);
    expect(nodes[0]!.taken).toEqual([]);
    expect(counts(nodes[0]!)).toEqual([2, 0, 1]);
  });

  test("refuses a replay, at once, later, and after others", () => {
    const { wire, laptop, nodes } = standing(1);
    const [node] = nodes as [Host];
    const first = say(laptop, OFFER);
    const second = say(laptop, ABORT);
    wire.put(first);
    wire.put(second);
    wire.run(3_600_000);
    wire.put(first);
    expect(node.taken.map(({ type }) => type)).toEqual([OFFER, ABORT]);
    expect(counts(node)).toEqual([0, 3, 1]);
  });

  test("takes the newest of packages that come out of order, and drops the older", () => {
    const { wire, laptop, nodes } = standing(1);
    const older = laptop.auth.seal({ type: OFFER, from: 0, dest: 0, routing: 2 });
    const newer = laptop.auth.seal({ type: ABORT, from: 0, dest: 0, routing: 2 });
    wire.put(packageText(newer));
    wire.put(packageText(older));
    expect(nodes[0]!.taken.map(({ type }) => type)).toEqual([ABORT]);
    expect(nodes[0]!.auth.stats.replayed).toBe(1);
  });
});

describe("a node that has started", () => {
  test("drops the first package, asks, and takes the repetition", () => {
    const wire = new Wire();
    const laptop = wire.boot(1, { start: START });
    const nodes = [2, 3, 4].map((id) => wire.boot(id));
    say(laptop, OFFER, { id: "00" });
    say(laptop, ABORT, { id: "00" });
    say(laptop, OFFER, { id: "01" });
    expect(nodes.map(({ taken }) => taken)).toEqual([[], [], []]);
    wire.run(10_000);
    for (const { taken } of nodes) {
      expect(taken.slice(-3).map(({ type, id }) => [type, id])).toEqual([
        [OFFER, "00"],
        [ABORT, "00"],
        [OFFER, "01"],
      ]);
    }
    // Each hears the others' challenges answered too, but not for ever.
    const sent = wire.record.length;
    wire.run(60_000);
    expect(wire.record.length).toBe(sent);
    expect(sent).toBeLessThan(3 + 3 * 3 + 3 * 3);
  });

  test("does not get repeated what is meant once, nor what is old", () => {
    const wire = new Wire();
    const laptop = wire.boot(1, { start: START });
    const node = wire.boot(2);
    say(laptop, OFFER);
    wire.tamper = () => null;
    wire.run(21_000);
    wire.tamper = (text) => text;
    say(laptop, ABORT, {}, true);
    wire.run(10_000);
    expect(node.taken).toEqual([]);
    say(laptop, ABORT, {}, true);
    expect(node.taken.map(({ type }) => type)).toEqual([ABORT]);
  });

  test.each([OFFER, ABORT])("does not take a recorded %d, with or without its controller there", (type) => {
    const { wire, laptop, nodes } = standing(1);
    const old = say(laptop, type);
    expect(nodes[0]!.taken).toHaveLength(1);
    wire.run(60_000);
    // Everything that was said before is said again to a node that remembers nothing.
    const all = [...wire.record];
    const fresh = wire.boot(2);
    for (const text of all) wire.put(text);
    wire.run(5000);
    for (const text of all) wire.put(text);
    expect(fresh.taken).toEqual([]);
    wire.put(old);
    wire.unplug(1);
    expect(fresh.taken).toEqual([]);
    // The controller's next word counts.
    say(laptop, OFFER);
    expect(fresh.taken).toHaveLength(1);
  });

  test("takes nothing while nobody proves, however often it is said", () => {
    const { wire, laptop } = standing(1);
    const old = say(laptop, ABORT);
    wire.tamper = (text) => (text.includes('"type":731') ? null : text);
    const fresh = wire.boot(2);
    for (let i = 0; i < 20; i++) {
      wire.put(old);
      wire.run(2000);
    }
    expect(fresh.taken).toEqual([]);
    expect(fresh.auth.stats.unproven).toBeGreaterThanOrEqual(20);
  });

  test("does not take a proof that was made for another start of it", () => {
    const { wire, laptop } = standing(1);
    wire.boot(2);
    say(laptop, OFFER);
    wire.run(5000);
    const proofs = wire.record.filter((text) => text.includes('"type":731'));
    expect(proofs.length).toBeGreaterThan(1);
    const old = say(laptop, ABORT);
    wire.tamper = (text) => (text.includes('"type":730') ? null : text);
    const fresh = wire.boot(2);
    for (const proof of proofs) wire.put(proof);
    wire.put(old);
    wire.run(5000);
    expect(fresh.taken).toEqual([]);
    expect(fresh.auth.stats.replayed).toBe(proofs.length);
  });

  test("gets no proof from a node that has none itself, and gets it from one that has", () => {
    const { wire, nodes } = standing(2);
    const peer = nodes[1]!;
    const byPeer = say(peer, OFFER);
    wire.unplug(1);
    const fresh = wire.boot(2);
    const restarted = wire.boot(3);
    wire.put(byPeer);
    wire.run(5000);
    wire.put(byPeer);
    expect([fresh.taken.length, restarted.taken.length]).toEqual([0, 0]);
    // The computer comes back; node 3 hears it, and can then speak for itself.
    const back = wire.boot(1, { start: START + 400 });
    say(back, OFFER);
    wire.run(5000);
    say(restarted, OFFER);
    expect(fresh.taken.map(({ from }) => from)).toEqual([1, 3]);
  });

  test("takes an answer to its own question, once, from a peer that has no proof either", () => {
    const wire = new Wire();
    const [fresh, peer] = [wire.boot(2), wire.boot(3)] as [Host, Host];
    const n = fresh.auth.nonce();
    const text = say(peer, OFFER, { routing: 1, dest: 2, n });
    expect(fresh.taken).toHaveLength(1);
    wire.put(text);
    expect(fresh.taken).toHaveLength(1);
    expect(fresh.auth.nonce()).not.toBe(n);
  });
});

describe("controllers", () => {
  test("one that starts again without memory goes on above what it said before", () => {
    const day = Date.UTC(2026, 10, 25);
    expect(controlStart(day)).toBeGreaterThan(controlStart(day - 250) - 1);
    expect(controlStart(day) - controlStart(day - 60_000)).toBe(240);
    expect([controlStart(0), controlStart(Date.UTC(2100, 0, 1))]).toEqual([1, 0xffffff00]);
    const { wire, laptop, nodes } = standing(1);
    for (let i = 0; i < 50; i++) say(laptop, OFFER);
    const again = wire.boot(1, { start: START + 4 * 60 });
    say(again, ABORT);
    expect(nodes[0]!.taken.at(-1)!.type).toBe(ABORT);
  });

  test("one whose clock is behind is told, and says it again above", () => {
    const { wire, nodes } = standing(2);
    const late = wire.boot(8, { start: 1000 });
    say(late, ABORT);
    expect(nodes.map(({ taken }) => taken.length)).toEqual([0, 0]);
    wire.run(5000);
    expect(nodes.map(({ taken }) => taken.map(({ from }) => from))).toEqual([[8], [8]]);
    say(late, ABORT);
    expect(nodes.map(({ taken }) => taken.length)).toEqual([2, 2]);
  });

  test("two take turns without losing a word", () => {
    const { wire, laptop, nodes } = standing(2);
    const second = wire.boot(8, { start: START + 40 });
    for (let round = 0; round < 5; round++) {
      say(second, OFFER);
      say(laptop, OFFER);
      wire.run(1000);
    }
    wire.run(5000);
    // The first computer listens as well, and so counts on from what the second said.
    const heard = nodes[0]!.taken.map(({ from }) => from);
    expect([1, 8].map((id) => heard.filter((from) => from === id).length >= 5)).toEqual([true, true]);
    expect(heard.length).toBeLessThanOrEqual(14);
  });

  test("a replayed package or challenge makes nobody say anything twice a second", () => {
    const { wire, laptop, nodes } = standing(2);
    const old = say(laptop, OFFER);
    wire.run(30_000);
    const before = wire.record.length;
    for (let i = 0; i < 100; i++) {
      wire.put(old);
      wire.run(10);
    }
    wire.run(5000);
    expect(nodes.map(({ auth }) => auth.stats.replayed)).toEqual([100, 100]);
    // A hundred replays, and the challenges that they set off: one a second and node.
    expect(wire.record.length - before).toBeLessThan(100 + 6);
  });
});

describe("without a mesh key", () => {
  test("nothing is sealed, everything is opened, and it shows", () => {
    const wire = new Wire();
    const laptop = wire.boot(1, { key: "", start: START });
    const node = wire.boot(2, { key: "" });
    const text = say(laptop, OFFER);
    expect(text).not.toMatch(/tag|seq/);
    expect([node.taken.length, node.auth.checks, laptop.auth.checks]).toEqual([1, false, false]);
  });

  test("a node with one does not listen to a computer without", () => {
    const wire = new Wire();
    const laptop = wire.boot(1, { key: "", start: START });
    const node = wire.boot(2);
    say(laptop, OFFER);
    wire.run(5000);
    expect([node.taken.length, node.auth.stats.forged]).toEqual([0, 1]);
  });
});
