/** Browsers that misbehave, and a clock that jumps, in front of the computer's server. */
import * as net from "node:net";
import { openHistory } from "../../host-tools/dashboard/history";
import { buildPage } from "../../host-tools/dashboard/page-bundle";
import { startDashboard } from "../../host-tools/dashboard/server";
import { ask, until } from "./api-suite";
import { FakeFleet } from "./fake-fleet";

const NODES = 200;

async function start(now: () => number, monotonic?: () => number, token = "t0ken-of-the-test") {
  const fleet = new FakeFleet(NODES, now);
  const history = openHistory({ file: ":memory:", now });
  const dashboard = await startDashboard({
    collector: fleet,
    history,
    desk: null,
    page: await buildPage(),
    version: "0.1.0",
    mesh: "grove",
    via: "sim:x",
    token,
    port: 0,
    now,
    monotonic,
    gatherMs: 1,
  });
  const stop = async (): Promise<void> => {
    await dashboard.close();
    history.close();
  };
  return { fleet, history, dashboard, stop };
}

test("a browser that stops reading is dropped before its queue grows, and others go on", async () => {
  const { fleet, dashboard, stop } = await start(Date.now);
  const { hostname, port } = new URL(dashboard.url);
  const socket = net.connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(
    `GET /api/v1/live HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await until("it is served", () => dashboard.live.size === 1);
  socket.pause();
  for (let round = 0; round < 400 && dashboard.live.dropped === 0; round++) {
    fleet.reportAll();
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  expect([dashboard.live.dropped, dashboard.live.size]).toEqual([1, 0]);
  expect((await ask(`${dashboard.url}/api/v1/info`)).status).toBe(200);
  socket.destroy();
  await stop();
}, 60_000);

test("a clock that jumps is told of, and deletes nothing", async () => {
  let jump = 0;
  const { fleet, history, dashboard, stop } = await start(
    () => Date.now() + jump,
    () => performance.now(),
  );
  fleet.reportAll();
  const node = fleet.nodes()[3]!.id;
  const before = Date.now();
  jump = 400 * 86_400_000;
  const told = (text: RegExp): boolean => history.events(20).some((event) => text.test(event.text));
  await until("the jump is told of", () => told(/clock jumped ahead by 576000 minutes/), 5);
  fleet.reportAll();
  jump = 0;
  await until("the way back as well", () => told(/clock jumped back/), 5);
  expect(history.read(node, before - 60_000, before + 60_000, 100).points).toHaveLength(1);
  expect(history.read(node, before, before + 500 * 86_400_000, 100).points.every(([at]) => at! < before + 60_000)).toBe(
    true,
  );
  await dashboard.close();
  await stop();
}, 30_000);

test("without a token nothing can be changed, and guessing one is slow", async () => {
  const closed = await start(Date.now, undefined, "");
  const post = (url: string, authorization: string) =>
    ask(`${url}/api/v1/alerts/acknowledge`, { method: "POST", body: "{}", headers: { authorization } });
  const refused = await post(closed.dashboard.url, "Bearer x");
  expect([refused.status, refused.json()]).toMatchObject([403, { error: { code: "READ_ONLY" } }]);
  await closed.stop();
  const open = await start(Date.now);
  const statuses: number[] = [];
  for (let i = 0; i < 12; i++) statuses.push((await post(open.dashboard.url, `Bearer guess-${i}`)).status);
  expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
  expect(statuses.slice(10)).toEqual([429, 429]);
  await open.stop();
}, 30_000);
