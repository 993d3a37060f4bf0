import * as fs from "node:fs";
import * as http from "node:http";
import type * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { createHash } from "node:crypto";
import { EspalierError } from "../../host-tools/errors";
import { cacheFolder, findFirmware } from "../../host-tools/config/firmware-source";
import { loadSite, nodeFor, parseSite, secret, type SiteIssue } from "../../host-tools/config/load";
import { siteJsonSchema } from "../../host-tools/config/schema";
import { defaultRules } from "../../firmware/status/rules";
import { settingsFor } from "../../host-tools/config/settings";

const ROOT = path.resolve(__dirname, "../..");
const MESH = { name: "m", password: "12345678" };

function errorOf(work: () => unknown): EspalierError {
  try {
    work();
  } catch (error) {
    if (error instanceof EspalierError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function issuesOf(value: unknown): string[] {
  const error = errorOf(() => parseSite(value, "f.json"));
  expect(error).toMatchObject({ code: "CONFIG_INVALID", exitCode: 2 });
  return (error.context!.issues as SiteIssue[]).map((issue) => issue.path);
}

it("the JSON schema on file is the one of the code", () => {
  const file = fs.readFileSync(path.join(ROOT, "flash.config.schema.json"), "utf8");
  expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(siteJsonSchema())));
});

it("the example is a valid site", () => {
  const { site } = loadSite(path.join(ROOT, "flash.config.json"));
  expect(site.nodes.length).toBeGreaterThan(0);
});

it("fills in what is left out", () => {
  expect(parseSite({ mesh: MESH }, "f")).toEqual({
    mesh: { ...MESH, port: 5555, channel: 0 },
    firmware: {},
    version: "0.1.0",
    nodes: [],
    baud: 921600,
  });
});

it.each<[string, object, string]>([
  ["an unknown word", { mesh: MESH, mehs: 1 }, ""],
  ["no mesh", {}, "mesh"],
  ["a short password", { mesh: { name: "m", password: "1234567" } }, "mesh.password"],
  ["a long mesh name", { mesh: { ...MESH, name: "x".repeat(24) } }, "mesh.name"],
  ["a wrong port", { mesh: { ...MESH, port: 65535 } }, "mesh.port"],
  ["a channel that does not exist", { mesh: { ...MESH, channel: 14 } }, "mesh.channel"],
  ["a bad MAC", { mesh: MESH, nodes: [{ mac: "24:0a:c4:12:34" }] }, "nodes.0.mac"],
  ["a node that nothing tells apart", { mesh: MESH, nodes: [{ role: "x" }] }, "nodes.0"],
  [
    "two nodes of one MAC",
    { mesh: MESH, nodes: [{ mac: "24:0a:c4:12:34:5a" }, { mac: "24:0A:C4:12:34:5A" }] },
    "nodes.1.mac",
  ],
  [
    "two roots",
    {
      mesh: MESH,
      nodes: [
        { port: "a", root: true },
        { port: "b", root: true },
      ],
    },
    "nodes.1.root",
  ],
  [
    "a hash in capitals",
    { mesh: MESH, firmware: { b: { url: "https://x/y", sha256: "A".repeat(64) } } },
    "firmware.b.sha256",
  ],
  ["a version of two numbers", { mesh: MESH, version: "1.2" }, "version"],
])("refuses %s and says where", (_name, value, where) => {
  expect(issuesOf(value)).toContain(where);
});

it("tells a missing file from one that is not JSON", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-site-"));
  expect(errorOf(() => loadSite(path.join(folder, "none.json"))).code).toBe("CONFIG_MISSING");
  fs.writeFileSync(path.join(folder, "bad.json"), "{ // no\n}");
  expect(errorOf(() => loadSite(path.join(folder, "bad.json"))).code).toBe("CONFIG_JSON");
  fs.rmSync(folder, { recursive: true });
});

it("takes secrets from the environment when they are needed, and says which is missing", () => {
  expect(secret({ env: "P" }, "mesh.password", { P: "secret" })).toBe("secret");
  expect(errorOf(() => secret({ env: "P" }, "mesh.password", {}))).toMatchObject({
    code: "SECRET_MISSING",
    context: { variable: "P", path: "mesh.password" },
  });
});

it("finds a board by MAC before port, and falls back to the default", () => {
  const site = parseSite(
    {
      mesh: MESH,
      nodes: [
        { port: "/dev/a", role: "by-port" },
        { mac: "24:0A:C4:00:00:01", role: "by-mac" },
      ],
    },
    "f",
  );
  expect(nodeFor(site, { mac: "24:0a:c4:00:00:01", port: "/dev/a" })?.role).toBe("by-mac");
  expect(nodeFor(site, { mac: "24:0a:c4:00:00:09", port: "/dev/a" })?.role).toBe("by-port");
  expect(nodeFor(site, { mac: "24:0a:c4:00:00:09", port: "/dev/b" })).toBeNull();
  const open = parseSite({ mesh: MESH, default: { role: "any" } }, "f");
  expect(nodeFor(open, { port: "/dev/b" })?.role).toBe("any");
});

it("gives a node its own secrets and nobody else's", () => {
  const site = parseSite(
    {
      mesh: { name: "m", password: { env: "MESH" } },
      keys: { private: { env: "SIGNING" } },
      nodes: [{ port: "a", root: true, station: { ssid: "home", password: { env: "ROUTER" } } }, { port: "b" }],
    },
    "f",
  );
  const env = { MESH: "mesh-password", SIGNING: "signing-key", ROUTER: "router-password" };
  const root = JSON.stringify(settingsFor(site, site.nodes[0]!, env));
  const leaf = JSON.stringify(settingsFor(site, site.nodes[1]!, { MESH: env.MESH }));
  expect(root).toContain("router-password");
  expect(leaf).toContain("mesh-password");
  expect(leaf).not.toContain("router-password");
  expect(root + leaf).not.toContain("signing-key");
});

describe("firmware", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-cache-"));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const content = Buffer.from("firmware");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const site = (hash: string) =>
    parseSite({ mesh: MESH, firmware: { a: { path: "x/y.tgz" }, b: { url: "https://h/p/e.tgz", sha256: hash } } }, "f");
  const lookup = (download: () => Promise<Uint8Array>) => ({
    file: "/site/flash.config.json",
    cache: folder,
    download,
  });

  it("lies beside the site's file", async () => {
    expect(
      await findFirmware(
        site(sha256),
        "a",
        lookup(async () => content),
      ),
    ).toBe(path.resolve("/site/x/y.tgz"));
    await expect(
      findFirmware(
        site(sha256),
        "z",
        lookup(async () => content),
      ),
    ).rejects.toMatchObject({
      code: "FIRMWARE_UNKNOWN",
    });
  });

  it("is downloaded once, and again when the copy is damaged", async () => {
    let downloads = 0;
    const download = async () => {
      downloads++;
      return content;
    };
    const file = await findFirmware(site(sha256), "b", lookup(download));
    expect(fs.readFileSync(file)).toEqual(content);
    await findFirmware(site(sha256), "b", lookup(download));
    expect(downloads).toBe(1);
    fs.writeFileSync(file, "damaged");
    await findFirmware(site(sha256), "b", lookup(download));
    expect(downloads).toBe(2);
  });

  it("comes over HTTP once, and not at all when the server has something else", async () => {
    let asked = 0;
    const server = http.createServer((request, response) => {
      asked++;
      if (request.url === "/e.tgz") response.end(content);
      else if (request.url === "/huge") response.writeHead(200, { "content-length": 1e12 }).end();
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as net.AddressInfo;
    const cache = path.join(folder, "http");
    const find = (name: string) =>
      findFirmware(
        parseSite({ mesh: MESH, firmware: { b: { url: `http://127.0.0.1:${port}/${name}`, sha256 } } }, "f"),
        "b",
        { file: "/site/flash.config.json", cache },
      );
    try {
      const file = await find("e.tgz");
      expect(fs.readFileSync(file)).toEqual(content);
      expect(path.dirname(file)).toBe(cache);
      await find("e.tgz");
      expect(asked).toBe(1);
      await expect(find("none")).rejects.toMatchObject({ code: "FIRMWARE_DOWNLOAD" });
      await expect(find("huge")).rejects.toMatchObject({ code: "FIRMWARE_DOWNLOAD" });
      expect(fs.readdirSync(cache)).toEqual([path.basename(file)]);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("is refused when it is not what the site names, or cannot be had", async () => {
    const other = site("0".repeat(64));
    await expect(
      findFirmware(
        other,
        "b",
        lookup(async () => content),
      ),
    ).rejects.toMatchObject({ code: "FIRMWARE_HASH" });
    const offline = lookup(() => Promise.reject(new Error("offline")));
    await expect(findFirmware(other, "b", offline)).rejects.toMatchObject({ code: "FIRMWARE_DOWNLOAD" });
  });

  it("is kept where the system keeps such things", () => {
    expect(cacheFolder({ XDG_CACHE_HOME: "/c" }, "linux")).toBe(path.join("/c", "espalier"));
    expect(cacheFolder({ LOCALAPPDATA: "/l" }, "win32")).toBe(path.join("/l", "espalier"));
    expect(cacheFolder({ ESPALIER_CACHE: "/e" }, "linux")).toBe("/e");
  });
});

it("a bridge gets its broker, with secrets from the environment", () => {
  const bridge = { host: "192.168.1.2", user: "u", password: { env: "BROKER" }, commandKey: { env: "KEY" } };
  const { nodes, ...rest } = parseSite({ mesh: MESH, nodes: [{ port: "/dev/a", role: "bridge", bridge }] }, "f");
  const site = { ...rest, nodes };
  expect(settingsFor(site, nodes[0]!, { BROKER: "b", KEY: "sixteen bytes and more" }).bridge).toEqual({
    host: "192.168.1.2",
    user: "u",
    password: "b",
    commandKey: "sixteen bytes and more",
  });
  expect(errorOf(() => settingsFor(site, nodes[0]!, { BROKER: "b" })).code).toBe("SECRET_MISSING");
  expect(
    issuesOf({ mesh: MESH, nodes: [{ port: "a", bridge: { host: "h", prefix: "a/+", commandKey: "short" } }] }),
  ).toEqual(["nodes.0.bridge.prefix", "nodes.0.bridge.commandKey"]);
});

it("a root gets the alert rules that its site changes, as texts", () => {
  const alerts = { "low-memory": { enter: 500, exit: 800 }, latency: { enabled: false } };
  const site = parseSite({ mesh: MESH, nodes: [{ port: "/dev/a", role: "root", alerts }, { port: "/dev/b" }] }, "f");
  const [root, other] = site.nodes.map((node) => settingsFor(site, node, {}).alerts);
  expect(other).toBeUndefined();
  expect(root).toHaveLength(defaultRules().length - 1);
  expect(root).toContain("low-memory,memoryFree,<,500,800,0,120,2");
  expect(issuesOf({ mesh: MESH, nodes: [{ port: "a", alerts: { own: { metric: "rssi" } } }] })).toEqual([
    "nodes.0.alerts",
  ]);
  expect(issuesOf({ mesh: MESH, nodes: [{ port: "a", alerts: { loss: { enters: 3 } } }] })).toEqual([
    "nodes.0.alerts.loss",
  ]);
});
