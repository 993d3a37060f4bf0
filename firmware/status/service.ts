/**
 * Asks nodes for their status (painlessMesh packages with explicit routing, so that C++ nodes pass them on) and tells who
 * did not answer. Runs on a root node and on a computer.
 */
import type { Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import { isUint32, type Package } from "../wire/packages";
import { decodeTelemetry, type Telemetry, TELEMETRY_BYTES } from "../wire/telemetry";
import { PACKAGE_STATUS_REPORT } from "./reporter";
import { PACKAGE_STATUS_QUERY } from "./telemetry-receiver";

/** ms that a node has to answer, 5000..10000. */
export const QUERY_TIMEOUT = 6000;
/** More nodes than these are asked by one broadcast, and answer spread over some time: ms a node, at most. */
const ASK_SINGLY = 3;
const SPREAD_A_NODE = 25;
const MOST_SPREAD = 4000;
/** Questions that may be open. */
const MOST_QUERIES = 4;
const WRAP = 4294967296;

export interface QueryResult {
  /** ids */
  answered: number[];
  /** Asked twice, and silent. */
  missing: number[];
}

interface Query {
  q: number;
  waiting: number[];
  answered: number[];
  /** Node time of the last question. */
  sentAt: number;
  again: boolean;
  done(result: QueryResult): void;
}

export interface StatusServiceParts {
  engine: Engine;
  mesh: Mesh;
  /** A node's values as it just said, and how many ms its clock is ahead of the mesh's, as far as the way tells. */
  reported(t: Telemetry, clockOffset: number): void;
}

export interface StatusService {
  /** Asks these nodes, or (null) all there are; false when too many questions are open. `done` is called once. */
  query(ids: number[] | null, done: (result: QueryResult) => void): boolean;
}

export function createStatusService(parts: StatusServiceParts): StatusService {
  const engine = parts.engine;
  const mesh = parts.mesh;
  const queries: Query[] = [];
  let last = engine.random() & 65535;

  function askOne(query: Query, id: number): void {
    mesh.sendPackage({ type: PACKAGE_STATUS_QUERY, routing: 1, dest: id, from: mesh.getNodeId(), q: query.q });
  }

  /** One broadcast for many; a few are asked one by one, and so is whoever did not hear the broadcast. */
  function ask(query: Query, broadcast: boolean): void {
    "cold";
    const list = query.waiting;
    query.sentAt = mesh.getNodeTime();
    if (broadcast) {
      const spread = Math.min(MOST_SPREAD, list.length * SPREAD_A_NODE);
      mesh.sendPackage({ type: PACKAGE_STATUS_QUERY, routing: 2, from: mesh.getNodeId(), q: query.q, w: spread });
    } else for (let i = 0; i < list.length; i++) askOne(query, list[i]);
    engine.after(QUERY_TIMEOUT, function () {
      late(query);
    });
  }

  function late(query: Query): void {
    "cold";
    if (queries.indexOf(query) < 0) return;
    if (query.again) finish(query);
    else {
      query.again = true;
      ask(query, false);
    }
  }

  function finish(query: Query): void {
    "cold";
    queries.splice(queries.indexOf(query), 1);
    query.done({ answered: query.answered, missing: query.waiting });
  }

  mesh.onPackage(PACKAGE_STATUS_REPORT, function (p: Package) {
    const now = mesh.getNodeTime();
    const d = p.d;
    if (typeof d !== "string" || d.length > TELEMETRY_BYTES * 2) return;
    const t = decodeTelemetry(engine.fromBase64(d), engine.crc32);
    // What a node says, it says of itself.
    if (!t || t.node !== p.from) return;
    for (let i = 0; i < queries.length; i++) {
      const query = queries[i];
      const at = query.q === p.q ? query.waiting.indexOf(t.node) : -1;
      if (at < 0) continue;
      query.waiting.splice(at, 1);
      query.answered.push(t.node);
      // An answer that was not spread over time left in the middle of its way there and back, as far as anyone knows.
      const way = ((now - query.sentAt) | 0) / 2;
      const offset = isUint32(p.t) ? ((p.t - ((now - Math.min(way, 250000) + WRAP) % WRAP)) | 0) / 1000 : NaN;
      parts.reported(t, offset);
      if (!query.waiting.length) finish(query);
      return;
    }
  });

  return {
    query: function (ids: number[] | null, done: (result: QueryResult) => void): boolean {
      "cold";
      if (queries.length >= MOST_QUERIES) return false;
      last = (last + 1) & 65535;
      const waiting = ids ? ids.slice(0) : mesh.getNodeList(false);
      const query: Query = { q: last, waiting: waiting, answered: [], sentAt: 0, again: false, done: done };
      queries.push(query);
      if (waiting.length) ask(query, !ids && waiting.length > ASK_SINGLY);
      else
        engine.after(1, function () {
          finish(query);
        });
      return true;
    },
  };
}
