/** The dashboard of a computer: the page, REST and WebSocket in front of a collector, a history and rollouts. */
import type { Socket } from "node:net";
import * as os from "node:os";
import websocket from "@fastify/websocket";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Collector, MeshEvent, NodeView, RolloutView } from "../gateway/fleet-view";
import {
  API,
  type ApiInfo,
  LIVE,
  MAX_BODY,
  MAX_MESSAGE,
  type PreviewRequest,
  ROLLOUT_ACTIONS,
  type RolloutAction,
} from "./api";
import { watchClock } from "./clock-watch";
import { hostAllowed, originAllowed, rateLimit, tokenMatches } from "./guard";
import type { HistoryStore } from "./history";
import { createLive, type Live } from "./live";
import type { Page } from "./page-bundle";
import { createRecorder } from "./recorder";
import type { RolloutDesk } from "./rollout-desk";

export interface DashboardOptions {
  collector: Collector;
  history: HistoryStore;
  /** null where nothing can be rolled out. */
  desk: RolloutDesk | null;
  page: Page;
  version: string;
  mesh: string;
  via: string;
  /** "" makes everything read-only. */
  token: string;
  /** Address to listen on; loopback unless given. */
  host?: string;
  /** Port, 0 for any that is free. */
  port: number;
  /** Unix milliseconds; virtual beside simulated boards. */
  now(): number;
  /** Milliseconds that no setting of the time moves; the process's own unless given. */
  monotonic?(): number;
  maxClients?: number;
  /** Milliseconds for which changes are gathered before browsers are told; 250 unless given. */
  gatherMs?: number;
  heartbeatMs?: number;
  /** Something that the user should know, for the terminal. */
  note?(text: string): void;
}

export interface Dashboard {
  /** Writes something down that happened, and tells browsers. */
  event(event: MeshEvent): void;
  /** "http://127.0.0.1:4180" */
  readonly url: string;
  readonly live: Live;
  close(): Promise<void>;
}

const READS_PER_TEN_SECONDS = 600;
const WRITES_PER_MINUTE = 60;
const WRONG_TOKENS_PER_MINUTE = 10;
const TEND_MS = 60_000;
const FLUSH_MS = 1000;
/** After the clock jumped ahead nothing is deleted for so long: somebody may be about to set it right. */
const TRUST_MS = 3_600_000;
const LATE_EVENTS = 200;
const MAX_QUEUED = 1 << 20;

const SAFE_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

class ApiFailure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A whole number in a query, within bounds. */
function numberIn(text: unknown, fallback: number, low: number, high: number, name: string): number {
  if (text === undefined) return fallback;
  const value = typeof text === "string" && /^-?\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!(value >= low && value <= high)) throw new ApiFailure(400, "BAD_REQUEST", `"${name}" must be ${low} to ${high}`);
  return value;
}

function previewIn(body: unknown): PreviewRequest {
  const { image, policy, transport } = (body ?? {}) as Record<string, unknown>;
  const good =
    typeof image === "string" &&
    image.length <= 200 &&
    (policy === "all" || policy === "progressive") &&
    (transport === "broadcast" || transport === "sequential");
  if (!good)
    throw new ApiFailure(
      400,
      "BAD_REQUEST",
      "needs image, policy (all, progressive), transport (broadcast, sequential)",
    );
  return { image, policy, transport };
}

export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { collector, history, desk, page, token, now } = options;
  const monotonic = options.monotonic ?? (() => performance.now());
  const maxClients = options.maxClients ?? 64;
  const note = options.note ?? (() => {});
  const steady = (): number => performance.now();
  const reads = rateLimit(READS_PER_TEN_SECONDS, 10_000, steady);
  const writes = rateLimit(WRITES_PER_MINUTE, 60_000, steady);
  const wrong = rateLimit(WRONG_TOKENS_PER_MINUTE, 60_000, steady);
  const recent: MeshEvent[] = history.events(LATE_EVENTS).reverse();

  function info(): ApiInfo {
    return {
      server: "laptop",
      version: options.version,
      mesh: options.mesh,
      via: options.via,
      clock: "unix",
      now: now(),
      writable: token !== "",
      rollouts: desk !== null,
      history: { hours: 720, resolution: 0 },
      clients: live.size,
      maxClients,
    };
  }

  const rollout = (): RolloutView | null => desk?.current()?.view() ?? null;

  function alerts() {
    const active = collector.alerts();
    const known = new Set(active.map(({ key, since }) => `${key} ${since}`));
    return [...active, ...history.alerts(200).filter(({ key, since }) => !known.has(`${key} ${since}`))];
  }

  const live = createLive({
    source: {
      info,
      nodes: () => collector.nodes(),
      topology: () => collector.topology(),
      alerts,
      events: () => recent.slice(-LATE_EVENTS),
      rollout,
    },
    maxClients,
    gatherMs: options.gatherMs ?? 250,
    maxQueued: MAX_QUEUED,
    heartbeatMs: options.heartbeatMs ?? 20_000,
    monotonic: steady,
  });

  function event(one: MeshEvent): void {
    recent.push(one);
    if (recent.length > LATE_EVENTS * 2) recent.splice(0, LATE_EVENTS);
    history.event(one);
    live.event(one);
  }

  const say = (text: string): void => {
    note(text);
    event({ at: now(), kind: "note", node: 0, text });
  };
  const recorder = createRecorder(history, now);
  const ends = [
    collector.on("node", (view: NodeView) => {
      recorder.record(view);
      live.node(view);
    }),
    collector.on("alert", (alert) => {
      history.alert(alert);
      live.alert(alert);
    }),
    collector.on("topology", (view) => live.topology(view)),
    collector.on("event", event),
    ...(desk ? [desk.onChange((view) => live.rollout(view))] : []),
  ];
  if (history.setAside !== "") {
    say(`The history could not be read. It was put aside as ${history.setAside}, and a new one begun.`);
  }

  const clock = watchClock({ now, monotonic });
  let trustedFrom = -Infinity;
  let lastTend = -Infinity;
  const tending = setInterval(() => {
    const moved = clock.look();
    if (moved !== 0) {
      const minutes = Math.round(Math.abs(moved) / 60_000);
      say(`The computer's clock jumped ${moved > 0 ? "ahead" : "back"} by ${minutes} minutes.`);
      if (moved < 0) history.dropFuture();
      else trustedFrom = steady() + TRUST_MS;
    }
    if (steady() >= trustedFrom && steady() - lastTend >= TEND_MS) {
      lastTend = steady();
      history.tend();
    } else history.flush();
  }, FLUSH_MS);

  const app = fastify({ bodyLimit: MAX_BODY, forceCloseConnections: true, requestTimeout: 10_000, logger: false });
  const sockets = new Set<Socket>();
  app.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const names = [os.hostname().toLowerCase(), ...(options.host && /[a-z]/i.test(options.host) ? [options.host] : [])];
  const port = options.port;

  app.addHook("onRequest", async (request, reply) => {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) reply.header(name, value);
    const { host, origin } = request.headers;
    if (!hostAllowed(host, names)) throw new ApiFailure(403, "WRONG_HOST", "this is not a name of this server");
    const changes = request.method !== "GET" && request.method !== "HEAD";
    const socket = request.url.startsWith(LIVE);
    if ((changes || socket) && !originAllowed(origin, host))
      throw new ApiFailure(403, "WRONG_ORIGIN", "requests of other sites are refused");
    if (!(changes ? writes : reads).take(request.ip))
      throw new ApiFailure(429, "TOO_MANY_REQUESTS", "wait a minute and try again");
    if (changes) authorise(request);
  });

  function authorise(request: FastifyRequest): void {
    if (token === "") throw new ApiFailure(403, "READ_ONLY", "no token is set: nothing can be changed here");
    if (tokenMatches(token, request.headers.authorization)) return;
    if (!wrong.take(request.ip)) throw new ApiFailure(429, "TOO_MANY_REQUESTS", "too many wrong tokens, wait a minute");
    throw new ApiFailure(401, "WRONG_TOKEN", "open the dashboard with the address that was printed when it started");
  }

  function fail(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
    if (status === 401) reply.header("www-authenticate", "Bearer");
    if (status === 429) reply.header("retry-after", "60");
    return reply.code(status).send({ error: { code, message } });
  }

  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) => {
    if (error instanceof ApiFailure) return fail(reply, error.status, error.code, error.message);
    const status = error.statusCode ?? 500;
    if (status === 413) return fail(reply, 413, "BODY_TOO_LARGE", `at most ${MAX_BODY} bytes`);
    if (status >= 400 && status < 500) return fail(reply, status, "BAD_REQUEST", "the request could not be read");
    const known = error.name === "EspalierError" && typeof error.code === "string";
    if (known) return fail(reply, 409, error.code as string, error.message);
    note(`request failed: ${error.stack ?? error.message}`);
    return fail(reply, 500, "INTERNAL", "the server made a mistake; its terminal says more");
  });
  app.setNotFoundHandler((_request, reply) => fail(reply, 404, "NOT_FOUND", "there is nothing here"));

  await app.register(websocket, { options: { maxPayload: MAX_MESSAGE } });
  routes(app);
  app.get(LIVE, { websocket: true }, (socket) => void live.add(socket));

  function routes(server: FastifyInstance): void {
    server.get("/", (request, reply) => {
      const tag = `"${page.tag}"`;
      reply.headers({
        "content-security-policy": `${page.policy}; frame-ancestors 'none'`,
        "cache-control": "no-cache",
        etag: tag,
      });
      if (request.headers["if-none-match"] === tag) return reply.code(304).send();
      const packed = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
      if (packed) reply.header("content-encoding", "gzip");
      return reply.type("text/html; charset=utf-8").send(packed ? page.gzip : page.html);
    });
    const json = (path: string, answer: (request: FastifyRequest) => unknown): void => {
      server.get(API + path, (request, reply) => {
        reply.header("cache-control", "no-store");
        return reply.send(answer(request));
      });
    };
    json("/info", info);
    json("/nodes", () => ({ nodes: collector.nodes() }));
    json("/nodes/:id", (request) => nodeIn(request));
    json("/topology", () => collector.topology());
    json("/alerts", () => ({ alerts: alerts() }));
    json("/events", (request) => {
      const { limit } = request.query as Record<string, unknown>;
      return { events: history.events(numberIn(limit, 100, 1, 1000, "limit")) };
    });
    json("/rollout", () => ({ rollout: rollout() }));
    json("/images", () => ({ images: desk?.images() ?? [] }));
    json("/history/:id", (request) => {
      const { id } = nodeIn(request);
      const query = request.query as Record<string, unknown>;
      const to = numberIn(query.to, now(), 0, 1e14, "to");
      const from = numberIn(query.from, to - 24 * 3_600_000, 0, to, "from");
      return history.read(id, from, to, numberIn(query.points, 500, 2, 2000, "points"));
    });
    server.post(`${API}/alerts/acknowledge`, (request) => {
      const key = (request.body as { key?: unknown } | null)?.key;
      if (typeof key !== "string" || key.length > 200) throw new ApiFailure(400, "BAD_REQUEST", "needs a key");
      if (!collector.acknowledge(key)) throw new ApiFailure(404, "NO_SUCH_ALERT", "no active alert has this key");
      return { acknowledged: true };
    });
    server.post(`${API}/rollout/preview`, async (request) => {
      const wanted = previewIn(request.body);
      if (!desk) throw new ApiFailure(409, "NO_ROLLOUTS", "this server cannot roll out images");
      return { rollout: (await desk.preview(wanted)).view() };
    });
    server.post(`${API}/rollout/:action`, (request) => {
      const { action } = request.params as { action: string };
      if (!ROLLOUT_ACTIONS.includes(action as RolloutAction)) throw new ApiFailure(404, "NOT_FOUND", "no such action");
      const current = desk?.current();
      if (!desk || !current) throw new ApiFailure(409, "NO_ROLLOUT", "there is no rollout");
      const tooLate = desk.act(action as RolloutAction);
      return { rollout: current.view(), tooLate };
    });
  }

  function nodeIn(request: FastifyRequest): NodeView {
    const { id } = request.params as { id: string };
    const view = /^\d{1,10}$/.test(id) ? collector.node(Number(id)) : null;
    if (!view) throw new ApiFailure(404, "NO_SUCH_NODE", "no node with this id was heard");
    return view;
  }

  try {
    await app.listen({ host: options.host ?? "127.0.0.1", port });
  } catch (error) {
    clearInterval(tending);
    for (const end of ends) end();
    live.close();
    throw error;
  }
  const address = app.server.address() as { port: number };
  const shown = options.host ?? "127.0.0.1";
  return {
    url: `http://${shown.includes(":") ? `[${shown}]` : shown}:${address.port}`,
    live,
    event,
    async close() {
      clearInterval(tending);
      for (const end of ends) end();
      live.close();
      const closed = app.close();
      // A peer that does not end its side would keep the server.
      for (const socket of sockets) socket.destroy();
      await closed;
      history.flush();
    },
  };
}
