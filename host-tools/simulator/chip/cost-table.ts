/**
 * What the interpreter spends, in instructions. Measured by host-tools/bench/interpreter-cost.ts on an Espruino 2v29
 * built for 32 bits with the ESP32's variables; run it to see how well these still fit.
 */

/** Instructions an ESP32 (240 MHz, code in flash) is taken to execute in a second; estimates range from 50 to 200 M. */
export const INSTRUCTIONS_PER_SECOND = 80e6;

export const COST = {
  /** Lexing one character. */
  character: 279,
  /** Passing one character of code that is not executed: in a block or function, and where it has to be parsed. */
  skipBlockCharacter: 220,
  skipCharacter: 301,
  /** Passing an expression through the parser's levels. */
  primary: 1256,
  binary: 2699,
  unary: 3095,
  assign: 2894,
  update: 4877,
  conditional: 1214,
  /** Looking a name up: fixed, for each name passed in a scope (short and long names), for each scope level. */
  lookup: 330,
  lookupName: 70,
  lookupLevel: 400,
  /** A built-in global, beside the scopes in front of it. */
  lookupBuiltin: 500,
  member: 1090,
  nativeMember: 17113,
  index: 2867,
  call: 4567,
  argument: 3673,
  functionEntry: 2674,
  parameter: 1114,
  declare: 2282,
  newCall: 23162,
  number: 525,
  string: 2555,
  array: 993,
  element: 2349,
  object: 1097,
  property: 5826,
  functionExpression: 10985,
  statement: 452,
  loop: 6380,
  block: 2288,
  returns: 10832,
  throws: 16519,
} as const;

/** Names that are taken for native methods and properties, which are looked up behind the object (`nativeMember`). */
export const NATIVE_NAMES: ReadonlySet<string> = new Set(
  (
    "length byteLength buffer charCodeAt charAt concat endsWith includes indexOf lastIndexOf match padEnd padStart " +
    "repeat replace slice split substr substring startsWith toLowerCase toUpperCase trim join push pop shift unshift " +
    "splice sort reverse forEach map filter reduce some every findIndex fill set subarray apply call bind toFixed " +
    "toString getInt8 setInt8 getUint8 setUint8 getInt16 setInt16 getUint16 setUint16 getInt32 setInt32 getUint32 " +
    "setUint32 getFloat32 setFloat32 getFloat64 setFloat64 getTime stringify parse floor min max round abs random " +
    "fromCharCode keys isArray hwRand CRC32 toUint8Array memoryArea getAddressOf now"
  ).split(" "),
);

/** Finding a function of a module object (Storage, Flash, crypto ...). */
export const MODULE_CALL = 15000;
export const REQUIRE = 5000;
/** Adding or removing a timer, beside the call. */
export const TIMER_CALL = 9000;
/** Handing data to flash: fixed and for each byte. */
export const FLASH_WRITE = 12000;
export const FLASH_WRITE_BYTE = 15;

/** Flash hardware, in milliseconds: typical figures of the 4 MB parts on ESP32 modules (W25Q32, GD25Q32). */
export const FLASH = {
  erasePageMs: 45,
  writeCallMs: 0.1,
  writeBytesMs: 0.8 / 256,
  readCallMs: 0.01,
  readBytesMs: 1 / 20000,
} as const;

/** Instructions for each character, byte or element that a native function handles. */
export const UNIT_COST: { readonly [name: string]: number } = {
  concat: 370,
  append: 160,
  fromCharCode: 9000,
  substr: 150,
  substring: 150,
  slice: 150,
  repeat: 150,
  padStart: 150,
  padEnd: 150,
  indexOf: 940,
  lastIndexOf: 940,
  includes: 940,
  split: 2500,
  match: 2500,
  replace: 1200,
  toLowerCase: 200,
  toUpperCase: 200,
  trim: 200,
  "array join": 5600,
  "array slice": 5000,
  "array concat": 8000,
  "array indexOf": 2400,
  "array includes": 2400,
  "array reverse": 7500,
  "array splice": 450,
  "array shift": 600,
  "array map": 22000,
  "array filter": 25000,
  "array forEach": 14000,
  "array reduce": 20000,
  "array some": 14000,
  "array every": 14000,
  "array find": 14000,
  "array findIndex": 14000,
  "array fill": 4000,
  "array sort": 100000,
  "typed fill": 1980,
  "typed indexOf": 2400,
  "typed map": 25000,
  "typed forEach": 20000,
  "typed slice": 1000,
  "typed join": 5600,
  "set array": 700,
  /** Source and target share a buffer and the copy runs backwards, element by element. */
  "set overlapping": 3400,
  "set text": 435,
  "set memory": 300,
  "Object.keys": 15000,
  "JSON.stringify": 400,
  /** For each comma and colon. */
  "JSON.stringify part": 5000,
  "JSON.parse": 350,
  "JSON.parse part": 2000,
  "CRC32 text": 275,
  "CRC32 array": 440,
  hash: 117,
  btoa: 320,
  atob: 575,
  "heatshrink in": 1370,
  "heatshrink out": 280,
  bytes: 30,
  /** For each element in front of the one that is indexed: arrays and objects are linear lists. */
  arrayIndex: 400,
  objectKey: 850,
};
