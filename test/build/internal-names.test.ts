import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { INTERNAL, internalNames } from "../../host-tools/build/internal-names";
import { bundleFiles, runInNode } from "./support";

const ROOT = path.resolve(__dirname, "../..");

test.each(Object.entries(INTERNAL))("%s declares the types that are listed", (file, types) => {
  const source = readFileSync(path.join(ROOT, "firmware", file), "utf8");
  for (const type of types) expect(source).toMatch(new RegExp(`(interface|class) ${type}\\b`));
});

test("what is sent, stored, provisioned or shown keeps its name", () => {
  const names = internalNames(
    ROOT,
    readdirSync(path.join(ROOT, "firmware"), { recursive: true, encoding: "utf8" })
      .filter((file) => /^(engine|mesh|ota|wire)\W.*[^d]\.ts$|^(node|app)\.ts$/.test(file))
      .map((file) => `firmware/${file}`),
  );
  expect(names).toContain("blobBytes");
  const outside =
    "type dest from routing msg nodeId subs root hasTimeAuthority t0 t1 t2 blob hardware role version transport pace only " +
    "product engine counter encoding chunkBytes payloadBytes resultBytes resultHash chunkHashes base baseBytes notes " +
    "meshName password port channel leaf parent station uplink ssid queueLimit maxLinks hello meshKey publicKey " +
    "seq tag telemetrySeconds base regions slot trial starts code memoryFree updateState sequence espalier";
  expect(outside.split(" ").filter((name) => names.includes(name))).toEqual([]);
});

test("names of an application stay", async () => {
  const files = {
    "firmware/wire/bitmap.ts":
      "export class Bitmap { common = 1; bits = 2; }\nexport interface Other { put: number }\nexport const gap = 1;",
    "firmware/main.ts":
      'import { Bitmap } from "./wire/bitmap";\nimport "../apps/x";\ndeclare const print: any;\nconst b = new Bitmap();\nprint(b.common + b.bits, JSON.stringify(b));',
    "apps/x.ts": "declare const print: any;\nprint(JSON.stringify({ bits: 3, put: 4 }));",
  };
  const { code } = await bundleFiles(files);
  const [app, firmware] = runInNode(code);
  expect(app).toBe('{"bits":3,"put":4}');
  expect(firmware).toMatch(/^3 \{"\w{1,2}":1,"bits":2\}$/);
  expect(code).not.toContain("common");
});
