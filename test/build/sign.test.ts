import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  generateKey,
  KeyError,
  readKeyPair,
  readPublicKey,
  SIGNATURE_BYTES,
  sign,
  verify,
  writeKeyFiles,
} from "../../host-tools/build/sign";
import { VECTOR } from "../ota/slh-dsa-vector";

let directory = "";
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "espalier-key-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

const pair = { publicKey: VECTOR.publicKey, secretKey: VECTOR.secretKey };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof KeyError) return error.code;
    throw error;
  }
  return "";
}

describe("signing", () => {
  it("verifies the published signature of RFC 9909, and no other length of it", async () => {
    const { publicKey, message, signature } = VECTOR;
    expect(await verify(publicKey, message, signature)).toBe(true);
    expect(await verify(publicKey, message, signature.subarray(0, 7000))).toBe(false);
    expect(await verify(publicKey, message, Buffer.concat([signature, signature]))).toBe(false);
    expect(await verify(publicKey.subarray(1), message, signature)).toBe(false);
  });

  it("signs with the published key, differently each time", async () => {
    const first = await sign(VECTOR.secretKey, Buffer.from("image"));
    const second = await sign(VECTOR.secretKey, Buffer.from("image"));
    expect(first.length).toBe(SIGNATURE_BYTES);
    expect(first.equals(second)).toBe(false);
    expect(await verify(VECTOR.publicKey, Buffer.from("image"), first)).toBe(true);
    expect(await verify(VECTOR.publicKey, Buffer.from("image"), second)).toBe(true);
    expect(await verify(VECTOR.publicKey, Buffer.from("imagE"), first)).toBe(false);
  }, 60_000);

  it("makes keys at random", async () => {
    const keys = [await generateKey(), await generateKey()];
    expect(keys[0]?.publicKey.equals(keys[1]?.publicKey as Buffer)).toBe(false);
    expect(keys[0]?.secretKey.subarray(32).equals(keys[0].publicKey)).toBe(true);
  });
});

describe("key files", () => {
  it("come back as written, the secret one readable by its owner alone", () => {
    const file = path.join(directory, "fleet.key");
    writeKeyFiles(file, pair);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(readKeyPair(file)).toEqual(pair);
    expect(readPublicKey(file)).toEqual(pair.publicKey);
    expect(readPublicKey(`${file}.pub`)).toEqual(pair.publicKey);
    expect(fs.readFileSync(`${file}.pub`, "utf8")).not.toContain("secret");
  });

  it("are never overwritten", () => {
    const file = path.join(directory, "fleet.key");
    writeKeyFiles(file, pair);
    expect(codeOf(() => writeKeyFiles(file, pair))).toBe("exists");
    fs.rmSync(file);
    expect(codeOf(() => writeKeyFiles(file, pair))).toBe("exists");
    expect(fs.existsSync(file)).toBe(false);
  });

  it("are refused with a code when something is wrong", () => {
    const file = path.join(directory, "fleet.key");
    writeKeyFiles(file, pair);
    const good = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, string>;
    const put = (content: unknown) =>
      fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    expect(codeOf(() => readKeyPair(path.join(directory, "none")))).toBe("no-file");
    expect(codeOf(() => readKeyPair(`${file}.pub`))).toBe("no-secret-key");
    put("{");
    expect(codeOf(() => readKeyPair(file))).toBe("not-a-key");
    for (const change of [
      { algorithm: "Ed25519" },
      { format: "other" },
      { extra: 1 },
      { publicKey: "AAAA" },
      { publicKey: `${good.publicKey?.slice(0, -1)}!` },
      { secretKey: good.publicKey },
    ]) {
      put({ ...good, ...change });
      expect(codeOf(() => readKeyPair(file))).toBe("not-a-key");
    }
    put({ ...good, publicKey: Buffer.alloc(32, 7).toString("base64") });
    expect(codeOf(() => readKeyPair(file))).toBe("key-mismatch");
    put(good);
    fs.chmodSync(file, 0o640);
    expect(codeOf(() => readKeyPair(file))).toBe("readable-by-others");
  });
});
