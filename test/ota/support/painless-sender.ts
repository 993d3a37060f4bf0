/**
 * painlessMesh's own update, as a C++ node with the file on its card sends it: announces it every minute, sixty times, and
 * answers whoever asks for its parts.
 */
import { createHash } from "node:crypto";
import type { Engine } from "../../../firmware/engine/engine";
import type { Mesh } from "../../../firmware/mesh/mesh";
import { OTA_ANNOUNCE, OTA_DATA, OTA_REQUEST, type Package } from "../../../firmware/wire/packages";

/** Milliseconds between announces, and how many there are. */
const ANNOUNCE_MS = 60000;
const ANNOUNCES = 60;
/** Bytes of a part, as C++ nodes send them: with base64 and its fields a frame of some 1,580. */
const PART_BYTES = 1024;

export interface PainlessFile {
  /** "ESP32" or "ESP8266". */
  hardware: string;
  /** Not with "_" or ".", which part the names of files on C++ nodes. */
  role: string;
  content: Buffer;
  /** Nodes take it although they have it. */
  forced?: boolean;
}

export interface PainlessProgress {
  node: number;
  /** Parts that it has asked for, of `parts`; asked for the last, it is taken to have all when nothing more is asked. */
  asked: number;
  parts: number;
  /** Parts asked for more than once. */
  repeats: number;
}

export interface PainlessSender {
  readonly md5: string;
  readonly parts: number;
  readonly progress: ReadonlyMap<number, PainlessProgress>;
  /** Requests that name no part of this file. */
  refused(): number;
  stop(): void;
}

/**
 * Begins to offer a file. `changed` is called for each part that is asked for.
 */
export function startPainlessSender(
  engine: Pick<Engine, "every" | "cancel">,
  mesh: Pick<Mesh, "onPackage" | "sendPackage">,
  file: PainlessFile,
  changed: (progress: PainlessProgress) => void = () => {},
): PainlessSender {
  const { hardware, role, content } = file;
  const parts = Math.ceil(content.length / PART_BYTES);
  const md5 = createHash("md5").update(content).digest("hex");
  const fields = { md5, hardware, role, ...(file.forced ? { forced: true } : {}), noPart: parts };
  const progress = new Map<number, PainlessProgress>();
  let refused = 0;
  let left = ANNOUNCES;
  let stopped = false;

  function announce(): void {
    mesh.sendPackage({ type: OTA_ANNOUNCE, routing: 2, ...fields, broadcasted: false });
    if (--left <= 0) engine.cancel(timer);
  }

  function answer(request: Package): void {
    if (stopped) return;
    const { from, partNo } = request;
    const fits = request.md5 === md5 && request.hardware === hardware && request.role === role;
    if (!fits || !Number.isInteger(partNo) || (partNo as number) < 0 || (partNo as number) >= parts) {
      refused++;
      return;
    }
    const part = partNo as number;
    const start = part * PART_BYTES;
    const data = content.subarray(start, start + PART_BYTES).toString("base64");
    mesh.sendPackage({ type: OTA_DATA, routing: 1, dest: from, ...fields, broadcasted: false, partNo: part, data });
    const known = progress.get(from) ?? { node: from, asked: 0, parts, repeats: 0 };
    if (part < known.asked) known.repeats++;
    known.asked = Math.max(known.asked, part + 1);
    progress.set(from, known);
    changed({ ...known });
  }

  const timer = engine.every(ANNOUNCE_MS, announce);
  mesh.onPackage(OTA_REQUEST, answer);
  announce();
  return {
    md5,
    parts,
    progress,
    refused: () => refused,
    stop() {
      stopped = true;
      engine.cancel(timer);
    },
  };
}
