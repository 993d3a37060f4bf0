/**
 * A root node's view of its fleet: telemetry put together, alerts, and the pages that others read. Bundles of other roles
 * have none of it.
 */
import type { Bytes, Engine } from "../engine/engine";
import type { Mesh } from "../mesh/mesh";
import type { Package } from "../wire/packages";
import type { Telemetry } from "../wire/telemetry";
import { type Alert, type Alerts, createAlerts } from "./alerts";
import { createFleet, type Fleet } from "./fleet";
import { pageBytes, pageCount } from "./pages";
import { PACKAGE_STATUS_REPORT } from "./reporter";
import { type AlertRule, defaultRules, parseRule, type RuleSet, ruleSet } from "./rules";
import { createFrameReader, PACKAGE_STATUS_QUERY } from "./telemetry-receiver";

/** Nodes and alerts that an ESP32's memory has room for. */
const MOST_NODES = 20;
const MOST_ALERTS = 16;
/** One node is looked at each time, so that none of it takes long. */
const LOOK_MS = 500;
/** Looks between two comparisons of versions. */
const COMPARE_EVERY = 60;
/** ms between frames of nodes that do not say. */
const USUAL_INTERVAL = 60000;

export interface RootStatus {
  fleet: Fleet;
  alerts: Alerts;
  /** Called with every change of an alert; for a dashboard or a bridge on the board. */
  alertChanged: ((alert: Alert) => void) | null;
  observed: ((telemetry: Telemetry) => void) | null;
}

/** Of this node, once it has started. */
export let rootStatus: RootStatus | null = null;

/** The rules as settings give them, or the default ones. */
function ruleTexts(engine: Engine): string[] {
  "cold";
  return JSON.parse(engine.settings() || "{}").alerts || defaultRules();
}

/** No closure is made here: it would hold the texts and the objects for good. */
function rules(engine: Engine, id: (index: number) => string): RuleSet {
  "cold";
  const list: AlertRule[] = [];
  const texts = ruleTexts(engine);
  for (let i = 0; i < texts.length; i++) {
    const rule = parseRule(texts[i]);
    if (rule) list.push(rule);
  }
  return ruleSet(list, id);
}

/** A `TelemetryReceiver` with everything behind it. */
export function rootTelemetry(engine: Engine, mesh: Mesh): (frames: Bytes) => void {
  function ruleId(index: number): string {
    return ruleTexts(engine)[index].split(",")[0];
  }

  const fleet = createFleet({
    crc32: engine.crc32,
    interval: USUAL_INTERVAL,
    limit: MOST_NODES,
    later: function (run: () => void) {
      engine.after(1, run);
    },
    hooks: {
      probe: function (id: number) {
        mesh.startDelayMeas(id);
      },
    },
  });
  const alerts = createAlerts({
    fleet: fleet,
    rules: rules(engine, ruleId),
    changed: function (alert: Alert) {
      if (status.alertChanged) status.alertChanged(alert);
    },
    limit: MOST_ALERTS,
  });
  const status: RootStatus = { fleet: fleet, alerts: alerts, alertChanged: null, observed: null };
  let turn = 0;
  rootStatus = status;

  function look(): void {
    "cold";
    if (++turn % COMPARE_EVERY === 0) fleet.compareVersions();
    const node = fleet.nodes[turn % (fleet.nodes.length || 1)];
    if (!node) return;
    const now = engine.now();
    fleet.timePasses(node, now);
    alerts.look(node, now);
  }

  const reader = createFrameReader(
    engine.crc32,
    function (t: Telemetry) {
      // In an event of its own, as everything here that takes long.
      engine.after(1, function () {
        fleet.takeValues(t, engine.now());
        if (status.observed) status.observed(t);
      });
    },
    function (id: number) {
      mesh.sendPackage({ type: PACKAGE_STATUS_QUERY, routing: 1, dest: id, k: 1 });
    },
  );

  mesh.onNodeDelayReceived(function (id: number) {
    fleet.alive(id, engine.now());
  });
  mesh.onPackage(PACKAGE_STATUS_QUERY, function (p: Package) {
    const page = p.c as number;
    if (!(page >= 0 && page < pageCount(fleet))) return;
    mesh.sendPackage({
      type: PACKAGE_STATUS_REPORT,
      routing: 1,
      dest: p.from,
      q: p.q,
      c: page,
      n: pageCount(fleet),
      d: engine.toBase64(pageBytes(fleet, page, engine.now())),
    });
  });
  engine.every(LOOK_MS, look);

  let waiting = "";

  /** One frame, and the next in another event. */
  function read(): void {
    "cold";
    const length = (waiting.charCodeAt(0) & 127) + 1;
    reader.take(waiting.substr(0, length), engine.now());
    waiting = waiting.substr(length);
    if (waiting) engine.after(1, read);
  }

  return function (frames: Bytes) {
    if (!waiting) engine.after(1, read);
    waiting += frames;
  };
}
