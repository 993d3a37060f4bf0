/**
 * Peers as sources. A node that runs an image and still has it in its stage answers when another one of its kind asks
 * for something newer; the one that asked takes the image from there, without the laptop.
 */
import type { Package } from "../wire/packages";
import { readSlot, readStage } from "./slots";
import { PACKAGE_QUERY, PACKAGE_SOURCE, USUAL_PACE } from "./session";
import type { UpdateNode } from "./update-node";

/** Answers come spread over this time for each hop, so that the nearest is heard first. */
const ANSWER_MS = 1000;

/** Orders versions "1.2.3" by their three numbers: negative when `a` is the older one. */
export function compareVersions(a: string, b: string): number {
  "cold";
  const left = a.split(".");
  const right = b.split(".");
  let difference = 0;
  for (let i = 0; i < 3 && !difference; i++) difference = (+left[i] || 0) - (+right[i] || 0);
  return difference;
}

/** Asks neighbours, or everybody, for the image `id`, or without one for anything newer than what runs here. */
export function sendQuery(node: UpdateNode, id: string | undefined, everybody: boolean): void {
  "cold";
  const identity = node.identity;
  const question = {
    type: PACKAGE_QUERY,
    routing: everybody ? 2 : 0,
    dest: 0,
    id: id,
    hardware: identity.hardware,
    role: identity.role,
    version: identity.version,
    n: node.control.nonce(),
  };
  const list = node.mesh.neighbours();
  if (everybody) node.mesh.sendPackage(question);
  else ask();

  // One after another: five neighbours would take a tenth of a second.
  function ask(): void {
    const one = list.pop();
    if (!one) return;
    question.dest = one.id;
    node.mesh.sendPackage(question);
    node.engine.after(1, ask);
  }
}

/** Answers such a question if the image lies complete in the stage. */
export function answerQuery(node: UpdateNode, pkg: Package): void {
  "cold";
  const identity = node.identity;
  const staged = readStage(node.stage);
  if (!staged || !staged.complete || staged.givenUp || identity.trial) return;
  if (pkg.id === undefined) {
    // Without a name only what has proved itself here is handed on, and what is for everybody.
    if (!staged.free) return;
    const running = readSlot(node.running);
    if (!running || running.id !== staged.id) return;
    if (pkg.hardware !== identity.hardware || pkg.role !== identity.role) return;
    if (typeof pkg.version !== "string" || compareVersions(identity.version, pkg.version) <= 0) return;
  } else if (pkg.id !== staged.id) return;
  const engine = node.engine;
  // The answer goes back in the question's own fields: hardware, role and nonce.
  pkg.type = PACKAGE_SOURCE;
  pkg.routing = 1;
  pkg.dest = pkg.from;
  pkg.from = node.mesh.getNodeId();
  pkg.id = staged.id;
  pkg.blob = staged.blobBytes;
  pkg.version = identity.version;
  pkg.h = identity.hash.substr(0, 16);
  pkg.transport = "peer";
  pkg.pace = USUAL_PACE;
  engine.after(1 + (engine.random() % (ANSWER_MS * Math.max(1, node.mesh.getHopCount(pkg.dest)))), function () {
    node.mesh.sendPackage(node.control.seal(pkg));
  });
}

/** Whether an answer to a query is worth taking up. */
export function sourceWanted(node: UpdateNode, pkg: Package): boolean {
  "cold";
  return typeof pkg.version === "string" && compareVersions(pkg.version, node.identity.version) > 0;
}
