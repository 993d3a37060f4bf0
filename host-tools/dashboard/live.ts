/**
 * The WebSocket side: each browser gets everything once, then what changes. Changes of nodes are gathered for a moment,
 * and each message is made into text once however many browsers listen. A browser that stops reading is dropped before
 * its queue grows.
 */
import type { WebSocket } from "ws";
import type { AlertView, MeshEvent, NodeView, RolloutView, TopologyView } from "../gateway/fleet-view";
import { type ApiInfo, type ClientMessage, MAX_MESSAGE, type ServerMessage } from "./api";
import { rateLimit } from "./guard";

export interface LiveSource {
  info(): ApiInfo;
  nodes(): NodeView[];
  topology(): TopologyView;
  alerts(): AlertView[];
  events(): MeshEvent[];
  rollout(): RolloutView | null;
}

export interface LiveOptions {
  source: LiveSource;
  maxClients: number;
  /** Milliseconds for which changes are gathered. */
  gatherMs: number;
  /** Bytes that may wait for one browser. */
  maxQueued: number;
  /** Milliseconds between two looks whether browsers are still there; each must have answered the last. */
  heartbeatMs: number;
  monotonic(): number;
}

export interface Live {
  readonly size: number;
  /** Browsers dropped because they did not read. */
  readonly dropped: number;
  /** @returns false when there is no room */
  add(socket: WebSocket): boolean;
  node(view: NodeView): void;
  topology(view: TopologyView): void;
  alert(alert: AlertView): void;
  event(event: MeshEvent): void;
  rollout(view: RolloutView | null): void;
  close(): void;
}

const MESSAGES_PER_TEN_SECONDS = 20;
const POLICY_VIOLATION = 1008;

/** The message, or null when it is none that a browser may send. */
export function parseClientMessage(data: unknown): ClientMessage | null {
  if (typeof data !== "string" || data.length > MAX_MESSAGE) return null;
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value !== "object" || value === null || (value as { type?: unknown }).type !== "ping") return null;
    return { type: "ping" };
  } catch {
    return null;
  }
}

export function createLive(options: LiveOptions): Live {
  const { source, maxClients, gatherMs, maxQueued, heartbeatMs, monotonic } = options;
  const clients = new Map<WebSocket, { answered: boolean }>();
  const allowed = rateLimit(MESSAGES_PER_TEN_SECONDS, 10_000, monotonic);
  const nodes = new Map<number, NodeView>();
  let topology: TopologyView | null = null;
  let rollout: RolloutView | null | undefined;
  let gathering: NodeJS.Timeout | null = null;
  let dropped = 0;
  let made = 0;

  function put(socket: WebSocket, text: string): void {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > maxQueued) {
      dropped++;
      clients.delete(socket);
      socket.terminate();
      return;
    }
    socket.send(text);
  }

  function tell(socket: WebSocket, message: ServerMessage): void {
    put(socket, JSON.stringify(message));
  }

  function tellAll(message: ServerMessage): void {
    if (clients.size === 0) return;
    const text = JSON.stringify(message);
    for (const socket of [...clients.keys()]) put(socket, text);
  }

  function release(): void {
    gathering = null;
    if (nodes.size > 0) tellAll({ type: "nodes", nodes: [...nodes.values()] });
    nodes.clear();
    if (topology) tellAll({ type: "topology", topology });
    topology = null;
    if (rollout !== undefined) tellAll({ type: "rollout", rollout });
    rollout = undefined;
  }

  function gather(): void {
    gathering ??= setTimeout(release, gatherMs);
  }

  const heartbeat = setInterval(() => {
    for (const [socket, state] of [...clients]) {
      if (!state.answered) {
        dropped++;
        clients.delete(socket);
        socket.terminate();
        continue;
      }
      state.answered = false;
      socket.ping();
    }
  }, heartbeatMs);
  heartbeat.unref();

  function refuse(socket: WebSocket, code: string, message: string): void {
    tell(socket, { type: "error", error: { code, message } });
    socket.close(POLICY_VIOLATION, code);
    clients.delete(socket);
  }

  return {
    get size() {
      return clients.size;
    },
    get dropped() {
      return dropped;
    },
    add(socket) {
      if (clients.size >= maxClients) {
        refuse(socket, "TOO_MANY_CLIENTS", `${maxClients} browsers are served already`);
        return false;
      }
      const state = { answered: true };
      const name = String(made++);
      clients.set(socket, state);
      socket.on("pong", () => void (state.answered = true));
      // "close" follows.
      socket.on("error", () => {});
      socket.on("close", () => void clients.delete(socket));
      socket.on("message", (data, binary) => {
        if (!clients.has(socket)) return;
        if (!allowed.take(name)) return refuse(socket, "TOO_MANY_MESSAGES", "slow down");
        const message = binary ? null : parseClientMessage((data as Buffer).toString("utf8"));
        if (!message) return refuse(socket, "BAD_MESSAGE", "not a message that a browser may send");
        tell(socket, { type: "pong", now: source.info().now });
      });
      tell(socket, { type: "hello", info: source.info() });
      tell(socket, { type: "nodes", nodes: source.nodes() });
      tell(socket, { type: "topology", topology: source.topology() });
      tell(socket, { type: "alerts", alerts: source.alerts() });
      tell(socket, { type: "events", events: source.events() });
      tell(socket, { type: "rollout", rollout: source.rollout() });
      tell(socket, { type: "ready" });
      return true;
    },
    node(view) {
      nodes.set(view.id, view);
      gather();
    },
    topology(view) {
      topology = view;
      gather();
    },
    alert: (alert) => tellAll({ type: "alerts", alerts: [alert] }),
    event: (event) => tellAll({ type: "events", events: [event] }),
    rollout(view) {
      rollout = view;
      gather();
    },
    close() {
      clearInterval(heartbeat);
      if (gathering) clearTimeout(gathering);
      for (const socket of clients.keys()) socket.terminate();
      clients.clear();
    },
  };
}
