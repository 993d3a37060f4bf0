/**
 * The interface between the page and whoever serves it: a computer or a node of role "dashboard". docs/api.md describes
 * it for people, docs/openapi.json for programs; test/dashboard/api-suite.ts holds both servers to it.
 */
import type { AlertView, MeshEvent, NodeView, RolloutView, TopologyView } from "../gateway/fleet-view";

export const API = "/api/v1";
/** Path of the WebSocket. */
export const LIVE = `${API}/live`;
/** Most bytes of a request's body, and of a message from a browser. */
export const MAX_BODY = 4096;
export const MAX_MESSAGE = 125;

export interface ApiInfo {
  /** Who serves: a computer has more history and can start rollouts. */
  server: "laptop" | "esp32";
  /** Firmware or program version. */
  version: string;
  /** Name of the mesh. */
  mesh: string;
  /** How the server reaches the mesh, or "" on a node. */
  via: string;
  /**
   * "unix": times are milliseconds since 1970. "device": the server has no calendar; times count from a moment of its
   * own, and `now` is what tells a browser how far that is from its clock.
   */
  clock: "unix" | "device";
  /** The server's time, milliseconds. */
  now: number;
  /** False when no token is set: nothing can be changed then. */
  writable: boolean;
  /** Rollouts can be previewed and started here. */
  rollouts: boolean;
  /** Hours that history reaches back, and seconds between its finest points (0: each frame that came). */
  history: { hours: number; resolution: number };
  /** WebSockets open now, and the most that are served. */
  clients: number;
  maxClients: number;
}

/** Columns of history, in this order where a server has them; null is "not known". */
export const HISTORY_FIELDS = [
  "memoryFree",
  "rssi",
  "loss",
  "latency",
  "received",
  "sent",
  "dropped",
  "uptime",
  "hops",
  "temperature",
  "battery",
] as const;

export type HistoryField = (typeof HISTORY_FIELDS)[number];

export interface History {
  node: number;
  /** Milliseconds on the server's clock. */
  from: number;
  to: number;
  /** Seconds that one point stands for; 0 for frames as they came. */
  resolution: number;
  /** Names of a point's values from the second on; the first is the time in milliseconds. */
  fields: HistoryField[];
  points: (number | null)[][];
}

/** An image that a rollout could install. */
export interface ImageChoice {
  id: string;
  version: string;
  hardware: string;
  role: string;
  /** Of the finished bundle. */
  bytes: number;
  /** Changelog, plain text. */
  notes: string;
}

export interface PreviewRequest {
  image: string;
  policy: "all" | "progressive";
  transport: "broadcast" | "sequential";
}

export const ROLLOUT_ACTIONS = ["start", "pause", "resume", "approve", "abort", "retry", "rollback"] as const;
export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];

export interface ApiError {
  error: { code: string; message: string };
}

/** What a server sends over the WebSocket. After "hello" comes all that it knows, then "ready", then changes. */
export type ServerMessage =
  | { type: "hello"; info: ApiInfo }
  | { type: "nodes"; nodes: NodeView[] }
  | { type: "topology"; topology: TopologyView }
  | { type: "alerts"; alerts: AlertView[] }
  | { type: "events"; events: MeshEvent[] }
  | { type: "rollout"; rollout: RolloutView | null }
  | { type: "ready" }
  | { type: "pong"; now: number }
  | { type: "error"; error: { code: string; message: string } };

/** What a browser may say; anything else is answered with an error, and the connection is closed with code 1008. */
export type ClientMessage = { type: "ping" };
