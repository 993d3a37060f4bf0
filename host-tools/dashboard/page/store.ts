/** Everything the page knows, and the way it comes to know it: one WebSocket, taken up again when it breaks. */
import type { AlertView, MeshEvent, NodeView, RolloutView, TopologyView } from "../../gateway/fleet-view";
import { API, type ApiInfo, type History, LIVE, type ServerMessage } from "../api";

export type Connection = "connecting" | "live" | "lost";

/** Points of a node's sparklines: the time and what was measured. */
export interface Spark {
  at: number;
  memory: number;
  rssi: number;
  loss: number;
  latency: number;
  received: number;
  sent: number;
}

const SPARKS = 60;
const MOST_EVENTS = 500;
const PING_MS = 10_000;
const SILENCE_MS = 35_000;
const TOKEN_KEY = "espalier-token";

export const state = {
  connection: "connecting" as Connection,
  /** Browser's milliseconds when the next try begins. */
  retryAt: 0,
  ready: false,
  info: null as ApiInfo | null,
  nodes: new Map<number, NodeView>(),
  topology: null as TopologyView | null,
  alerts: new Map<string, AlertView>(),
  events: [] as MeshEvent[],
  rollout: null as RolloutView | null,
  sparks: new Map<number, Spark[]>(),
  token: "",
  /** Text for screen readers and the small box at the bottom. */
  toast: "",
  toastKind: "info" as "info" | "error",
};

let listener = (): void => {};
let scheduled = false;

/** Asks for a new rendering, soon and once. */
export function changed(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    listener();
  });
}

export function onChanged(run: () => void): void {
  listener = run;
}

let serverNow = 0;
let heardNow = 0;

function sync(now: number): void {
  serverNow = now;
  heardNow = performance.now();
}

/** The server's time, milliseconds. */
export function now(): number {
  return serverNow === 0 ? Date.now() : serverNow + performance.now() - heardNow;
}

/** A moment of the server as one of the browser: a node without a calendar counts from a moment of its own. */
export function local(at: number): number {
  return state.info?.clock === "device" ? Date.now() - (now() - at) : at;
}

let toastTimer = 0;
export function toast(text: string, kind: "info" | "error" = "info"): void {
  state.toast = text;
  state.toastKind = kind;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    state.toast = "";
    changed();
  }, 6000) as unknown as number;
  changed();
}

function addSpark(view: NodeView): void {
  const t = view.telemetry;
  if (!t) return;
  const list = state.sparks.get(view.id) ?? [];
  const last = list[list.length - 1];
  if (last && last.at >= view.heardAt) return;
  const before = state.nodes.get(view.id)?.telemetry;
  const minutes = last && before ? (view.heardAt - last.at) / 60_000 : 0;
  const rate = (now: number, then: number | undefined): number =>
    then === undefined || minutes <= 0 || now < then ? NaN : (now - then) / minutes;
  list.push({
    at: view.heardAt,
    memory: t.memoryFree,
    rssi: t.rssi === 0 ? NaN : t.rssi,
    loss: t.loss / 10,
    latency: t.latency === 65535 ? NaN : t.latency,
    received: rate(t.received, before?.received),
    sent: rate(t.sent, before?.sent),
  });
  if (list.length > SPARKS) list.shift();
  state.sparks.set(view.id, list);
}

/** Puts what history knows in front of what came live. */
export function seedSparks(history: History): void {
  const column = (name: string): number => history.fields.indexOf(name as never) + 1;
  const [memory, rssi, loss, latency, received, sent] = [
    "memoryFree",
    "rssi",
    "loss",
    "latency",
    "received",
    "sent",
  ].map(column) as [number, number, number, number, number, number, number];
  const live = state.sparks.get(history.node) ?? [];
  const first = live[0]?.at ?? Infinity;
  const value = (point: (number | null)[], at: number): number => (at > 0 ? (point[at] ?? NaN) : NaN);
  const old = history.points
    .filter((point) => (point[0] ?? 0) < first)
    .map((point): Spark => ({
      at: point[0] ?? 0,
      memory: value(point, memory),
      rssi: value(point, rssi),
      loss: value(point, loss) / 10,
      latency: value(point, latency),
      received: value(point, received),
      sent: value(point, sent),
    }));
  state.sparks.set(history.node, [...old, ...live].slice(-SPARKS));
}

const alertKey = (alert: AlertView): string => `${alert.key} ${alert.since}`;

function receive(message: ServerMessage): void {
  switch (message.type) {
    case "hello":
      state.info = message.info;
      sync(message.info.now);
      break;
    case "nodes":
      for (const view of message.nodes) {
        addSpark(view);
        state.nodes.set(view.id, view);
        if (view.heardAt > now()) sync(view.heardAt);
      }
      break;
    case "topology":
      state.topology = message.topology;
      break;
    case "alerts":
      for (const alert of message.alerts) {
        const known = state.alerts.get(alertKey(alert));
        state.alerts.set(alertKey(alert), alert);
        if (state.ready && !known && alert.state === "firing" && alert.severity === "critical")
          toast(`Critical: ${alert.message}`, "error");
      }
      break;
    case "events":
      state.events.push(...message.events);
      if (state.events.length > MOST_EVENTS) state.events.splice(0, state.events.length - MOST_EVENTS);
      break;
    case "rollout":
      state.rollout = message.rollout;
      break;
    case "ready":
      state.ready = true;
      state.connection = "live";
      break;
    case "pong":
      sync(message.now);
      break;
    case "error":
      toast(`The server says: ${message.error.message}.`, "error");
  }
  changed();
}

let tries = 0;
let heardAt = 0;

export function connect(): void {
  state.connection = state.ready ? "lost" : "connecting";
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${LIVE}`);
  heardAt = performance.now();
  const pinging = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MS) socket.close();
    else if (socket.readyState === 1) socket.send('{"type":"ping"}');
  }, PING_MS);
  socket.onopen = () => {
    tries = 0;
    // Everything is sent anew.
    state.alerts.clear();
    state.events = [];
  };
  socket.onmessage = (event) => {
    heardAt = performance.now();
    receive(JSON.parse(event.data as string) as ServerMessage);
  };
  socket.onclose = () => {
    clearInterval(pinging);
    state.connection = state.ready ? "lost" : "connecting";
    const wait = Math.min(15_000, 500 * 2 ** tries++) * (0.75 + Math.random() / 2);
    state.retryAt = performance.now() + wait;
    setTimeout(connect, wait);
    changed();
  };
}

/** A request that failed, with what the server said. */
export class RequestError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function answer<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => null)) as (T & { error?: { code: string; message: string } }) | null;
  if (response.ok && body) return body;
  throw new RequestError(body?.error?.code ?? `HTTP_${response.status}`, body?.error?.message ?? response.statusText);
}

// A node has few sockets: one request at a time, and again when it was busy.
let queue: Promise<unknown> = Promise.resolve();
export function get<T>(path: string): Promise<T> {
  const run = async (): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      const response = await fetch(API + path);
      if (response.status !== 503 || attempt === 3) return answer<T>(response);
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  };
  const result = queue.then(run, run);
  queue = result.catch(() => {});
  return result;
}

export async function post<T>(path: string, body: object = {}): Promise<T> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${state.token}` };
  return answer<T>(await fetch(API + path, { method: "POST", headers, body: JSON.stringify(body) }));
}

/** The token comes in the address once, and leaves it at once: addresses end in histories and screenshots. */
export function takeToken(): void {
  const given = /[#&]token=([\w-]+)/.exec(location.hash)?.[1];
  if (given) {
    setToken(given);
    history.replaceState(null, "", `${location.pathname}#/`);
  } else state.token = sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function setToken(token: string): void {
  state.token = token;
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Fills sparklines from history, node by node; a computer answers such questions easily, a node does not. */
export async function loadSparks(): Promise<void> {
  if (state.info?.server !== "laptop") return;
  const from = Math.round(now() - 3_600_000);
  for (const id of [...state.nodes.keys()].slice(0, 60)) {
    try {
      seedSparks(await get<History>(`/history/${id}?points=${SPARKS}&from=${from}`));
    } catch {
      return;
    }
    changed();
  }
}
