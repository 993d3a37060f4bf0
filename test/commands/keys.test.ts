import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encodeImageFile } from "../../host-tools/build/image-file";
import { writeKeyFiles } from "../../host-tools/build/sign";
import { openNodeWarning } from "../../host-tools/commands/open-node";
import { COMMANDS } from "../../host-tools/commands";
import { loadSite, parseSite } from "../../host-tools/config/load";
import { meshKeyOf, publicKeyOf, signingKeyOf } from "../../host-tools/config/keys";
import { settingsFor } from "../../host-tools/config/settings";
import { EXIT } from "../../host-tools/errors";
import { controlStart } from "../../host-tools/gateway/control-clock";
import { siteSecurity } from "../../host-tools/gateway/site-security";
import { openTcp } from "../../host-tools/gateway/tcp-session";
import { runProgram } from "../../host-tools/program";
import { imageOf, sampleCode } from "../ota/support/update-mesh";
import { KEYS, signed } from "../ota/support/signed";
import { createRecorder } from "../ui/support";

jest.setTimeout(120_000);

let directory = "";
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-keys-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => path.join(directory, name);

async function espalier(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = createRecorder(false);
  const stderr = createRecorder(false);
  const code = await runProgram(COMMANDS, args, "0.0.0", { stdout, stderr, env: {} });
  return { code, out: stdout.text, err: stderr.text };
}

async function errorOf(...args: string[]): Promise<[number, string, string]> {
  const { code, out } = await espalier(...args, "--json");
  const { error } = JSON.parse(out) as { error: { code: string; context?: { reason?: string } } };
  return [code, error.code, error.context?.reason ?? ""];
}

describe("espalier keygen", () => {
  it("makes a pair once, and says what to do with it", async () => {
    const { code, out } = await espalier("keygen", at("images"));
    expect(code).toBe(EXIT.ok);
    expect(out).toContain(`"public": "${at("images")}.pub"`);
    expect(fs.statSync(at("images")).mode & 0o777).toBe(0o600);
    const secret = (JSON.parse(fs.readFileSync(at("images"), "utf8")) as { secretKey: string }).secretKey;
    expect(out).not.toContain(secret);
    expect(await errorOf("keygen", at("images"))).toEqual([EXIT.usage, "KEY_FILE", "exists"]);
  });

  it("makes a mesh key once, and does not print it", async () => {
    const { code, out } = await espalier("keygen", "--mesh", at("mesh"));
    expect(code).toBe(EXIT.ok);
    const key = fs.readFileSync(at("mesh"), "utf8").trim();
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(out).not.toContain(key);
    expect(fs.statSync(at("mesh")).mode & 0o777).toBe(0o600);
    expect(await errorOf("keygen", "--mesh", at("mesh"))).toEqual([EXIT.usage, "KEY_FILE", "exists"]);
    expect(fs.readFileSync(at("mesh"), "utf8").trim()).toBe(key);
  });
});

describe("espalier sign and verify", () => {
  const plain = imageOf(sampleCode(3000), "raw", { counter: 2, notes: "caf\xe9" });

  beforeEach(() => {
    writeKeyFiles(at("one"), KEYS[0]!);
    writeKeyFiles(at("two"), KEYS[1]!);
    fs.writeFileSync(at("plain"), encodeImageFile(plain));
  });

  it("sign with counter, override and next key; the result is good for that key alone", async () => {
    const { code, out } = await espalier(
      ...["sign", at("plain"), "--key", at("one"), "--counter", "3", "--downgrade-from", "7"],
      ...["--next-key", `${at("two")}.pub`, "--out", at("signed"), "--json"],
    );
    expect([code, JSON.parse(out)]).toMatchObject([EXIT.ok, { counter: 3, version: "2.0.0", file: at("signed") }]);
    const good = await espalier("verify", at("signed"), "--key", `${at("one")}.pub`, "--json");
    expect(good.code).toBe(EXIT.ok);
    expect((JSON.parse(good.out) as { manifest: object }).manifest).toMatchObject({
      counter: 3,
      downgradeFrom: 7,
      nextKey: KEYS[1]!.publicKey.toString("base64"),
    });
    expect(await errorOf("verify", at("signed"), "--key", at("two"))).toEqual([EXIT.failed, "BAD_SIGNATURE", ""]);
  });

  it("tell what is wrong with an image or a key", async () => {
    const image = encodeImageFile(await signed(plain));
    fs.writeFileSync(at("signed"), image);
    expect((await espalier("verify", at("signed"), "--key", at("one.pub"))).out).toContain("counter 2");
    expect(await errorOf("verify", at("plain"), "--key", at("one.pub"))).toEqual([EXIT.failed, "UNSIGNED", ""]);
    fs.writeFileSync(at("cut"), image.subarray(0, -9));
    expect(await errorOf("verify", at("cut"), "--key", at("one.pub"))).toEqual([
      EXIT.usage,
      "NOT_AN_IMAGE_FILE",
      "cut-off",
    ]);
    expect(await errorOf("sign", at("plain"), "--key", at("one.pub"))).toEqual([
      EXIT.usage,
      "KEY_FILE",
      "no-secret-key",
    ]);
    expect(await errorOf("sign", at("plain"), "--key", at("none"))).toEqual([EXIT.usage, "KEY_FILE", "no-file"]);
    expect(await errorOf("sign", at("plain"))).toEqual([EXIT.usage, "MISSING_OPTION", ""]);
    fs.chmodSync(at("one"), 0o644);
    expect(await errorOf("sign", at("plain"), "--key", at("one"))).toEqual([
      EXIT.usage,
      "KEY_FILE",
      "readable-by-others",
    ]);
  });
});

describe("a push takes from the site", () => {
  function site(keys: object): string {
    fs.writeFileSync(at("flash.config.json"), JSON.stringify({ mesh: { name: "grove", password: "" }, keys }));
    return at("flash.config.json");
  }

  it("the mesh key and the private key; what it signed is not signed again", async () => {
    writeKeyFiles(at("one"), KEYS[0]!);
    fs.writeFileSync(at("mesh"), `${"5a".repeat(32)}\n`);
    const security = siteSecurity("tcp://127.0.0.1", site({ private: "one", mesh: { file: "mesh" } }));
    expect(security).toMatchObject({ meshKey: "5a".repeat(32) });
    const image = await signed(imageOf(sampleCode(3000), "raw", { counter: 2, notes: "caf\xe9" }));
    expect(await security.sign(image)).toBe(image);
    const session = openTcp("127.0.0.1", 9, "tcp://127.0.0.1:9", { address: "127.0.0.1", meshKey: security.meshKey });
    const sealed = session.node.control.seal({ type: 710, from: 0, dest: 0, routing: 2 });
    await session.close();
    expect(sealed.seq).toBeGreaterThanOrEqual(controlStart(Date.now() - 60_000));
    expect(sealed.tag).toMatch(/^[A-Za-z0-9+/]{22}==$/);
  });

  it("nothing, where it has none, and for a simulated mesh", async () => {
    const open = siteSecurity("tcp://127.0.0.1", site({}));
    const image = imageOf(sampleCode(3000), "raw");
    expect([open.meshKey, await open.sign(image)]).toEqual(["", image]);
    expect(siteSecurity("sim:x.yaml", site({ mesh: { file: "none" } }))).toMatchObject({ meshKey: "" });
  });
});

describe("keys of a site", () => {
  const mesh = { name: "grove", password: "" };
  const node = { role: "node", name: "n", mac: "24:0a:c4:00:00:01" };

  it("come from files beside it and from the environment; a node gets the public key and the mesh key", () => {
    writeKeyFiles(at("one"), KEYS[0]!);
    fs.writeFileSync(at("mesh"), `${"5a".repeat(32)}\n`);
    fs.writeFileSync(
      at("flash.config.json"),
      JSON.stringify({ mesh, keys: { public: "one.pub", private: "one", mesh: { file: "mesh" } }, nodes: [node] }),
    );
    const { site } = loadSite(at("flash.config.json"));
    expect(publicKeyOf(site, directory)).toEqual(KEYS[0]!.publicKey);
    expect(signingKeyOf(site, directory)).toEqual(KEYS[0]);
    const settings = settingsFor(site, site.nodes[0]!, {}, directory);
    expect(settings).toMatchObject({ publicKey: KEYS[0]!.publicKey.toString("base64"), meshKey: "5a".repeat(32) });
    const text = JSON.stringify(settings);
    expect(text).not.toContain(KEYS[0]!.secretKey.toString("base64").slice(0, 40));
    const fromEnv = parseSite({ mesh, keys: { mesh: { env: "MESH_KEY" } } }, "f");
    expect(meshKeyOf(fromEnv, directory, { MESH_KEY: "5b".repeat(32) })).toBe("5b".repeat(32));
  });

  it("are missed loudly", () => {
    const warning = (keys?: object): string => openNodeWarning(parseSite({ mesh, ...(keys && { keys }) }, "f"));
    expect(warning()).toMatch(/UNSIGNED.*NOT CHECKED/);
    expect(warning({ public: "k.pub" })).not.toMatch(/UNSIGNED/);
    expect(warning({ public: "k.pub", mesh: { env: "M" } })).toBe("");
  });

  it("that are missing or none stop the command; without any the node is open", () => {
    const site = (keys: object) => parseSite({ mesh, keys, nodes: [node] }, "f");
    const thrown = (work: () => unknown): string => {
      try {
        work();
      } catch (error) {
        return (error as { code: string }).code;
      }
      return "";
    };
    expect(thrown(() => settingsFor(site({ public: "none.pub" }), site({}).nodes[0]!, {}, directory))).toBe("KEY_FILE");
    expect(thrown(() => meshKeyOf(site({ mesh: { file: "none" } }), directory))).toBe("KEY_FILE");
    expect(thrown(() => meshKeyOf(site({ mesh: { env: "M" } }), directory, { M: "short" }))).toBe("KEY_FILE");
    expect(thrown(() => meshKeyOf(site({ mesh: { env: "M" } }), directory, {}))).toBe("SECRET_MISSING");
    const open = settingsFor(site({}), site({}).nodes[0]!, {}, directory);
    expect([open.publicKey, open.meshKey]).toEqual([undefined, undefined]);
  });
});
