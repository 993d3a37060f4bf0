import type { Engine } from "../../firmware/engine/engine";
import { checkSignature } from "../../firmware/ota/verify";
import type { Image } from "../../host-tools/build/image";
import { decodeImageFile, encodeImageFile, ImageFileError } from "../../host-tools/build/image-file";
import type { KeyPair } from "../../host-tools/build/sign";
import { signed, KEYS } from "./support/signed";
import { signatureOf, signImage, verifyImage } from "../../host-tools/build/sign-image";
import { codecs, imageOf, sampleCode, withManifest } from "./support/update-mesh";

jest.setTimeout(30_000);

const [pair, second] = KEYS as [KeyPair, KeyPair];
let image: Image;

beforeAll(async () => {
  image = await signed(imageOf(sampleCode(3000), "raw", { counter: 2, notes: "caf\xe9" }), pair);
});

/** What the node says of a blob, and in how many slices. */
function check(blob: Buffer, key = pair.publicKey.toString("latin1")): [string, number] {
  const waiting: (() => void)[] = [];
  const engine = {
    ...codecs,
    name: "node",
    after: (_: number, run: () => void) => waiting.push(run),
  } as never as Engine;
  let result = "none";
  checkSignature(engine, key, blob.toString("latin1"), (code) => void (result = code));
  let slices = 0;
  for (let run = waiting.shift(); run; run = waiting.shift()) {
    run();
    slices++;
  }
  return [result, slices];
}

test("a signed image is good on the laptop and on a node, which takes its time", async () => {
  expect(signatureOf(image)).toHaveLength(7856);
  expect(await verifyImage(image, pair.publicKey)).toBe(true);
  const [code, slices] = check(image.blob);
  expect(code).toBe("");
  expect(slices).toBeGreaterThan(100);
});

test("an unsigned one, one of another key, and one whose manifest was changed are refused", async () => {
  const plain = imageOf(sampleCode(3000), "raw", { counter: 2, notes: "caf\xe9" });
  expect(check(plain.blob)).toEqual(["unsigned", 1]);
  const other = second.publicKey;
  expect(check(image.blob, other.toString("latin1"))[0]).toBe("bad-signature");
  expect(await verifyImage(image, other)).toBe(false);
  const changed = Buffer.concat([withManifest(image, { counter: 3 }).blob, signatureOf(image)]);
  expect(check(changed)[0]).toBe("bad-signature");
});

test("a flipped bit anywhere in the blob, and a signature that is cut or goes on, are refused", () => {
  const { blob } = image;
  const places = [0, 2, 60, blob.readUInt16LE(0) + 1, blob.readUInt16LE(0) + 2];
  for (let at = blob.readUInt16LE(0) + 100; at < blob.length; at += 1500) places.push(at);
  for (const at of [...places, blob.length - 1]) {
    const bad = Buffer.from(blob);
    bad[at]! ^= 1 << (at % 8);
    expect([at, check(bad)[0]]).toEqual([at, "bad-signature"]);
  }
  expect(check(blob.subarray(0, -1))[0]).toBe("bad-signature");
  expect(check(Buffer.concat([blob, Buffer.alloc(1)]))[0]).toBe("bad-signature");
});

test("without a key every image is good; a check that is given up says nothing", () => {
  expect(check(image.blob, "")).toEqual(["", 1]);
  const waiting: (() => void)[] = [];
  const engine = {
    ...codecs,
    name: "node",
    after: (_: number, run: () => void) => waiting.push(run),
  } as never as Engine;
  for (const key of ["", pair.publicKey.toString("latin1")]) {
    const stop = checkSignature(engine, key, image.blob.toString("latin1"), () => {
      throw new Error("told");
    });
    stop();
  }
  for (let run = waiting.shift(); run; run = waiting.shift()) run();
});

test("a signature needs room in the blob", async () => {
  const large = imageOf(sampleCode(3000), "raw", { notes: "x".repeat(3300) });
  await expect(signImage(large, pair.secretKey)).rejects.toThrow(RangeError);
});

describe("an image file", () => {
  test("holds the image, signature included", () => {
    expect(decodeImageFile(encodeImageFile(image))).toEqual(image);
  });

  test.each<[string, (file: Buffer) => Buffer, string]>([
    ["is something else", () => Buffer.from("not an image at all"), "not-an-image"],
    ["is empty", () => Buffer.alloc(0), "not-an-image"],
    ["ends in its head", (file) => file.subarray(0, 10), "cut-off"],
    ["ends in its manifest", (file) => file.subarray(0, 500), "cut-off"],
    ["lacks its last byte", (file) => file.subarray(0, -1), "cut-off"],
    ["goes on", (file) => Buffer.concat([file, Buffer.alloc(1)]), "cut-off"],
    ["has a bit of its last chunk flipped", (file) => flip(file, file.length - 5), "bad-chunk"],
    ["has a bit of its first chunk flipped", (file) => flip(file, 12 + image.blob.length), "bad-chunk"],
    ["has a manifest that is no JSON", (file) => flip(file, 14, 0x20), "bad-manifest"],
  ])("that %s is refused", (_what, spoil, code) => {
    const file = spoil(encodeImageFile(image));
    let found: unknown;
    try {
      decodeImageFile(file);
    } catch (error) {
      found = error instanceof ImageFileError ? error.code : error;
    }
    expect(found).toBe(code);
  });
});

function flip(file: Buffer, at: number, bits = 1): Buffer {
  const changed = Buffer.from(file);
  changed[at]! ^= bits;
  return changed;
}
