/** Meshes whose nodes take updates: the real mesh, airwave, sender and receiver on the nodes of a test world. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type Airwave, createAirwave } from "../../../firmware/mesh/airwave";
import type { Mesh, MeshConfig } from "../../../firmware/mesh/mesh";
import { type Encoding, MAX_CHUNK } from "../../../firmware/ota/image";
import { type ControlAuth, createControlAuth } from "../../../firmware/ota/control-auth";
import { createReceiver, type Receiver } from "../../../firmware/ota/receiver";
import { createServer, type ServerStats } from "../../../firmware/ota/server";
import { PACKAGE_NAK, PACKAGE_OFFER, PACKAGE_REPORT, type Session } from "../../../firmware/ota/session";
import type { UpdateNode } from "../../../firmware/ota/update-node";
import type { Engine } from "../../../firmware/engine/engine";
import { Bitmap } from "../../../firmware/wire/bitmap";
import type { Package } from "../../../firmware/wire/packages";
import { fillStage, type Image, makeImage } from "../../../host-tools/build/image";
import { type MemoryRegion, memoryRegion } from "../../../host-tools/device/memory-region";
import { decompress } from "../../../host-tools/simulator/chip/heatshrink";
import { join, type Member } from "../../mesh/support/fleet";
import { World } from "../../mesh/support/world";

export interface Flash {
  stage: MemoryRegion;
  running: MemoryRegion;
  spare: MemoryRegion;
}

export interface Station {
  id: number;
  member: Member;
  mesh: Mesh;
  airwave: Airwave;
  receiver: Receiver;
  control: ControlAuth;
  /** What the transfer under way has sent; zeros without one. */
  sent: () => ServerStats;
  flash: Flash;
  restarts: number;
  /** State and error code at every change. */
  changes: string[];
  /** What becomes of a datagram on its way in: the datagrams that arrive instead, with a delay in milliseconds. */
  air: (bytes: string) => { bytes: string; delay: number }[];
  /** Reports that reached this node. */
  reports: Package[];
}

export interface StationOptions {
  hardware?: string;
  /** What an offer must name; as the engine's unless given. */
  installs?: boolean;
  /** The running image is on trial. */
  trial?: boolean;
  image?: string;
  version?: string;
  hash?: string;
  meshKey?: string;
  /** Whose images are taken; everybody's unless given. */
  publicKey?: Buffer;
  /** Security counter. */
  counter?: number;
  /** Of who commands the others. */
  controlStart?: number;
  flash?: Flash;
  config?: Partial<MeshConfig>;
  slotPages?: number;
  stagePages?: number;
}

/** What the test world leaves out of its engines. */
export const codecs: Pick<Engine, "sha256" | "digest" | "crc32" | "unshrink" | "toBase64" | "fromBase64"> = {
  sha256: (data) => {
    const digest = createHash("sha256")
      .update(typeof data === "string" ? Buffer.from(data, "latin1") : data)
      .digest();
    return Uint8Array.from(digest).buffer;
  },
  digest: (bytes) => createHash("sha256").update(bytes, "latin1").digest().toString("latin1"),
  crc32: (bytes) => crc32(Buffer.from(bytes, "latin1")),
  unshrink: (bytes) => decompress(Buffer.from(bytes, "latin1")).toString("latin1"),
  toBase64: (bytes) => Buffer.from(bytes, "latin1").toString("base64"),
  fromBase64: (text) => Buffer.from(text, "base64").toString("latin1"),
};

export function emptyFlash(slotPages = 25, stagePages = 28): Flash {
  return { stage: memoryRegion(stagePages), running: memoryRegion(slotPages), spare: memoryRegion(slotPages) };
}

/** Boots a node; call it again with the same flash for a node that starts anew. */
export function boot(world: World, id: number, options: StationOptions = {}): Station {
  const hardware = options.hardware ?? "ESP32";
  const flash = options.flash ?? emptyFlash(options.slotPages, options.stagePages);
  const member = join(
    world,
    { name: `w${id}`, id, wifi: true, hardware },
    { root: id === 1, hello: { v: "1.0.0", c: 55 }, ...options.config },
  );
  const { mesh } = member;
  const { engine } = member.node;
  const open = engine.openDatagrams;
  const station = { id, member, mesh, flash, restarts: 0, changes: [], reports: [] } as unknown as Station;
  station.air = (bytes) => [{ bytes, delay: 0 }];
  Object.assign(engine, codecs, {
    restart: () => void station.restarts++,
    region: (name: string) => flash[name as keyof Flash] ?? null,
    openDatagrams: ((port, received) =>
      open(port, (bytes, address) => {
        for (const one of station.air(bytes)) {
          if (one.delay === 0) received(one.bytes, address);
          else engine.after(one.delay, () => received(one.bytes, address));
        }
      })) satisfies Engine["openDatagrams"],
  });
  station.airwave = createAirwave(engine, mesh);
  const identity = {
    product: "espalier",
    hardware,
    role: "node",
    version: options.version ?? "1.0.0",
    image: options.image ?? "",
    hash: options.hash ?? "",
    installs: options.installs ?? true,
    trial: options.trial ?? false,
  };
  const { airwave } = station;
  const control = createControlAuth(engine, mesh, { key: options.meshKey ?? "", start: options.controlStart ?? 0 });
  station.control = control;
  const trust = { key: options.publicKey?.toString("latin1") ?? "", counter: options.counter ?? 0, sequence: 0 };
  station.receiver = createReceiver({ engine, mesh, airwave, control, trust, ...flash, identity }, () => {
    const { receiver } = station;
    const error = receiver.error();
    station.changes.push(receiver.state() + (error ? `:${error}` : ""));
  });
  const nothing = { chunks: 0, repairs: 0, coded: 0, polls: 0, naks: 0, pieces: 0 };
  station.sent = () => station.receiver.served() ?? nothing;
  mesh.onPackage(PACKAGE_REPORT, (pkg) => void station.reports.push(pkg));
  station.airwave.start();
  return station;
}

/** Stops a node for good, as a reset does; its flash stays. */
export function crash(station: Station): void {
  station.member.node.powerOff();
}

export type Shape = "star" | "line";

/**
 * A mesh that stands, on positions of a line or around its root. The first node is root and origin of images, and
 * installs nothing itself.
 */
export function standing(count: number, shape: Shape = "star", options: Record<number, StationOptions> = {}, seed = 5) {
  const world = new World(seed);
  world.rssi = (a, b) => {
    const distance = Math.abs(a.options.id! - b.options.id!);
    if (shape === "star") return a.options.id === 1 || b.options.id === 1 ? -50 : null;
    return distance > 1 ? null : -50;
  };
  const stations: Station[] = [];
  for (let id = 1; id <= count; id++) stations.push(boot(world, id, { installs: id > 1, ...options[id] }));
  settle(world, stations);
  return { world, stations, origin: stations[0]!, nodes: stations.slice(1) };
}

/** Runs until everybody sees everybody and the access points are open. */
export function settle(world: World, stations: Station[]): void {
  const whole = (): boolean => stations.every((s) => s.mesh.getNodeList().length === stations.length - 1);
  if (!world.runUntil(whole, 900000)) throw new Error("the mesh does not form");
  world.run(3000);
}

/** Text that compresses about as a bundle does, and differs by seed. */
export function sampleCode(bytes: number, seed = 1): string {
  const words = ["function", "return", "var", "length", "if(", "){", "}", "engine", "mesh", "=", "+", ";", "session."];
  let state = seed;
  let text = "";
  while (text.length < bytes) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += (state >>> 28 < 3 ? (state >>> 8).toString(36) : words[(state >>> 16) % words.length]!) + " ";
  }
  return text.slice(0, bytes);
}

const images = new Map<string, Image>();

export function imageOf(code: string, encoding: Encoding, more: Partial<Parameters<typeof makeImage>[0]> = {}): Image {
  const key = JSON.stringify([code, encoding, more]);
  const target = { product: "espalier", hardware: "ESP32", role: "node", version: "2.0.0" };
  const image = images.get(key) ?? makeImage({ ...target, code, encoding, ...more });
  images.set(key, image);
  return image;
}

/** The image with fields of its manifest replaced, and the id that goes with it. */
export function withManifest(image: Image, change: object): Image {
  const manifest = { ...image.manifest, ...change };
  const text = Buffer.from(JSON.stringify(manifest), "latin1");
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  const blob = Buffer.concat([length, text]);
  const id = createHash("sha256").update(blob).digest().subarray(0, 8).toString("hex");
  return { ...image, manifest, blob, id };
}

/** Puts an image into the origin's stage and serves it. */
export function load(origin: Station, image: Image): void {
  fillStage(origin.flash.stage, image);
  if (!origin.receiver.serveStaged(image.id, 20)) throw new Error("the stage is not served");
}

/** Serves an image that the firmware itself would not: a server of its own answers what the origin is asked for. */
export function loadUnchecked(origin: Station, image: Image): void {
  fillStage(origin.flash.stage, image);
  const blob = new Bitmap(Math.ceil(image.blob.length / MAX_CHUNK));
  const payload = new Bitmap(image.chunks.length);
  for (let i = 0; i < blob.size; i++) blob.put(i, true);
  for (let i = 0; i < payload.size; i++) payload.put(i, true);
  const tag = Buffer.from(image.id, "hex").toString("latin1", 0, 4);
  const { id, manifest } = image;
  const from = { hashes: 0, hashText: 0, origin: origin.id, source: origin.id };
  const session: Session = {
    ...{ id, manifest, tag, blob, payload, ...from },
    ...{ blobBytes: image.blob.length, transport: "broadcast", pace: 20, forMe: false, free: true },
  };
  const { engine } = origin.member.node;
  const { mesh, airwave } = origin;
  const server = createServer({ engine, mesh, airwave, ...origin.flash } as unknown as UpdateNode, session);
  mesh.onPackage(PACKAGE_NAK, (pkg, neighbour) => {
    const from = mesh.neighbours().find((one) => one.id === neighbour);
    if (pkg.id === id && from) server.want(from, pkg.p === 1, codecs.fromBase64(pkg.m as string), 0);
  });
}

/** An offer as the origin of an image broadcasts it; any field may be replaced. */
export function announce(origin: Station, image: Image, more: object = {}): void {
  const offer = {
    type: PACKAGE_OFFER,
    routing: 2,
    from: origin.id,
    id: image.id,
    blob: image.blob.length,
    hardware: image.manifest.hardware,
    role: image.manifest.role,
    version: image.manifest.version,
    h: image.manifest.resultHash.slice(0, 16),
    transport: "broadcast",
    pace: 20,
    ...more,
  };
  origin.mesh.sendPackage(origin.control.seal(offer as unknown as Package));
}

/** The code in a slot that is sealed and verified, or null. */
export function codeIn(slot: MemoryRegion): string | null {
  if (slot.read(0, 4) !== "ESP1" || slot.data[16] !== 0) return null;
  return slot.read(4096, slot.data.readUInt32LE(8));
}

/** Runs until every node has verified the code; false when that takes longer than `limit` milliseconds. */
export function verified(world: World, nodes: Station[], code: string, limit = 600000): boolean {
  const done = (): boolean => nodes.every((n) => n.receiver.state() === "verified" && codeIn(n.flash.spare) === code);
  return world.runUntil(done, limit);
}
