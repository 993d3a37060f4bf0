import fc from "fast-check";
import {
  BAD_ADDRESS,
  BAD_ROUTING,
  BAD_TYPE,
  NOT_AN_OBJECT,
  NOT_JSON,
  ROUTE_BROADCAST,
  ROUTE_NEIGHBOUR,
  ROUTE_SINGLE,
  ROUTE_UNKNOWN,
  TOO_NESTED,
  packageText,
  parsePackage,
  routingOf,
} from "../../firmware/wire/packages";
import type { Package } from "../../firmware/wire/packages";

const OPENERS = 150;

test.each<[string, number]>([
  ["", NOT_AN_OBJECT],
  ["not json", NOT_AN_OBJECT],
  ["[1]", NOT_AN_OBJECT],
  ['"text"', NOT_AN_OBJECT],
  ["{", NOT_AN_OBJECT],
  ["{}garbage", NOT_AN_OBJECT],
  ["{x}", NOT_JSON],
  ['{"type":8', NOT_AN_OBJECT],
  ['{"type":8,,"from":1}', NOT_JSON],
  ["{}", BAD_TYPE],
  ['{"type":"8","from":1}', BAD_TYPE],
  ['{"type":8.5,"from":1}', BAD_TYPE],
  ['{"type":8}', BAD_ADDRESS],
  ['{"type":8,"from":0}', BAD_ADDRESS],
  ['{"type":8,"from":-1}', BAD_ADDRESS],
  ['{"type":8,"from":4294967296}', BAD_ADDRESS],
  ['{"type":9,"from":1,"dest":"2"}', BAD_ADDRESS],
  ['{"type":9,"from":1,"dest":2.5}', BAD_ADDRESS],
  ['{"type":9,"from":1,"dest":null}', BAD_ADDRESS],
  ['{"type":9,"from":1,"dest":2,"routing":3}', BAD_ROUTING],
  ['{"type":9,"from":1,"dest":2,"routing":"1"}', BAD_ROUTING],
  ['{"a":' + "[".repeat(OPENERS) + "]".repeat(OPENERS) + "}", TOO_NESTED],
  ['{"a":'.repeat(OPENERS + 1) + "1" + "}".repeat(OPENERS + 1), TOO_NESTED],
])("%.60s is refused with code %d", (frame, code) => {
  expect(parsePackage(frame, OPENERS)).toBe(code);
});

test("a package is read, white space around it included; a missing destination is 0", () => {
  expect(parsePackage(' {"type":8,"from":4294967295,"msg":"x"}\r\n', OPENERS)).toEqual({
    type: 8,
    from: 4294967295,
    dest: 0,
    msg: "x",
  });
  expect(parsePackage('{"type":604,"from":1500,"routing":0,"dest":3000000000}', OPENERS)).toMatchObject({ routing: 0 });
});

test("whatever arrives, the answer is a code or a sound package", () => {
  const check = (frame: string): void => {
    const p = parsePackage(frame, OPENERS);
    if (typeof p === "number") expect(p).toBeGreaterThan(0);
    else for (const n of [p.type, p.from, p.dest]) expect(n >>> 0).toBe(n);
  };
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), check));
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.nat());
  fc.assert(
    fc.property(fc.record({ type: odd, from: odd, dest: odd, routing: odd, msg: odd }, { requiredKeys: [] }), (value) =>
      check(JSON.stringify(value)),
    ),
  );
});

test.each<[Partial<Package>, number]>([
  [{ type: 3 }, ROUTE_SINGLE],
  [{ type: 4 }, ROUTE_NEIGHBOUR],
  [{ type: 5 }, ROUTE_NEIGHBOUR],
  [{ type: 6 }, ROUTE_NEIGHBOUR],
  [{ type: 7 }, ROUTE_UNKNOWN],
  [{ type: 8 }, ROUTE_BROADCAST],
  [{ type: 9 }, ROUTE_SINGLE],
  [{ type: 604 }, ROUTE_UNKNOWN],
  [{ type: 604, routing: 2 }, ROUTE_BROADCAST],
  [{ type: 9, routing: 0 }, ROUTE_NEIGHBOUR],
])("%j has routing %d", (p, routing) => {
  expect(routingOf({ from: 1, dest: 2, ...p } as Package)).toBe(routing);
});

/** JSON.stringify as Espruino has it: every byte above 126 is escaped. */
function espruinoStringify(value: unknown): string {
  return stringify(value).replace(
    /[\x7f-\xff]/g,
    (c) => "\\u00" + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0"),
  );
}
const stringify = JSON.stringify;

test("UTF-8 bytes leave as they are, however the engine escapes them", () => {
  const text = fc
    .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(92, 117, 48)))
    .map((a) => String.fromCharCode(...a));
  fc.assert(
    fc.property(text, fc.constantFrom("", "\\u00e9", "\\\\u00ff", "\\"), (a, b) => {
      const p = { type: 8, from: 1, msg: a + b };
      JSON.stringify = espruinoStringify as typeof stringify;
      let out: string;
      try {
        out = packageText(p);
      } finally {
        JSON.stringify = stringify;
      }
      expect(JSON.parse(out)).toEqual(p);
      expect(out).toBe(stringify(p).replaceAll("\x7f", "\\u007F"));
    }),
    { numRuns: 500 },
  );
});
