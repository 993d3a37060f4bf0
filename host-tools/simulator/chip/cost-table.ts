/**
 * What the interpreter spends, in instructions. Measured by host-tools/bench/interpreter-cost.ts on an Espruino 2v29
 * built for 32 bits with the ESP32's variables; run it to see how well these still fit.
 */

/** Instructions an ESP32 (240 MHz, code in flash) is taken to execute in a second; estimates range from 50 to 200 M. */
export const INSTRUCTIONS_PER_SECOND = 80e6;

export const COST = {
  /** Lexing one character. */
  character: 123,
  /** Passing one character of code that is not executed: in a block or function, and where it has to be parsed. */
  skipBlockCharacter: 109,
  skipCharacter: 257,
  /** Passing an expression through the parser's levels. */
  primary: 706,
  binary: 1230,
  unary: 1530,
  assign: 1440,
  update: 2740,
  conditional: 383,
  /** Looking a name up: fixed, for each name passed in a scope (short and long names), for each scope level. */
  lookup: 397,
  lookupName: 17,
  lookupLevel: 348,
  /** A built-in global, beside the scopes in front of it. */
  lookupBuiltin: 10,
  member: 470,
  nativeMember: 7450,
  index: 1340,
  call: 2570,
  argument: 1510,
  functionEntry: 624,
  parameter: 659,
  declare: 1140,
  newCall: 8650,
  number: 433,
  string: 1420,
  array: 487,
  element: 1020,
  object: 547,
  property: 2760,
  functionExpression: 5870,
  statement: 9.04,
  loop: 1890,
  block: 1210,
  returns: 4600,
  throws: 7730,
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
export const MODULE_CALL = 7980;
export const REQUIRE = 960;
/** Adding or removing a timer, beside the call. */
export const TIMER_CALL = 3170;
/** Handing data to flash: fixed and for each byte. */
export const FLASH_WRITE = 3000;
export const FLASH_WRITE_BYTE = 3;

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
  concat: 145,
  append: 183,
  fromCharCode: 4170,
  substr: 55.9,
  substring: 75,
  slice: 56.5,
  repeat: 75,
  padStart: 75,
  padEnd: 75,
  /** From where the search begins to where it ends. */
  indexOf: 451,
  lastIndexOf: 470,
  includes: 470,
  split: 1480,
  match: 1250,
  replace: 600,
  toLowerCase: 100,
  toUpperCase: 100,
  trim: 100,
  "array join": 3090,
  "array slice": 2610,
  "array concat": 3640,
  "array indexOf": 1700,
  "array includes": 1200,
  "array reverse": 3750,
  "array splice": 261,
  "array shift": 296,
  "array map": 8010,
  "array filter": 12500,
  "array forEach": 6770,
  "array reduce": 10000,
  "array some": 7000,
  "array every": 7000,
  "array find": 7000,
  "array findIndex": 7000,
  "array fill": 2000,
  "array sort": 46900,
  "typed fill": 1070,
  "typed indexOf": 1200,
  "typed map": 12500,
  "typed forEach": 10000,
  "typed slice": 500,
  "typed join": 2800,
  "set array": 343,
  /** Source and target share a buffer and the copy runs backwards, element by element. */
  "set overlapping": 1640,
  "set text": 237,
  "set memory": 200,
  "Object.keys": 5930,
  "JSON.stringify": 219,
  /** For each comma and colon. */
  "JSON.stringify part": 2100,
  /** For each object and list. */
  "JSON.stringify object": 5000,
  "JSON.parse": 153,
  "JSON.parse part": 1210,
  "JSON.parse object": 2000,
  "CRC32 text": 191,
  "CRC32 array": 280,
  hash: 82.9,
  btoa: 163,
  atob: 244,
  "heatshrink in": 892,
  "heatshrink out": 110,
  bytes: 0.6,
  /** Drawing an image: fixed, and for each pixel of 4 bits, or of 8 through a palette. */
  image: 40000,
  "image pixel": 118,
  "image pixel, palette": 132,
  /** For each element in front of the one that is indexed: arrays and objects are linear lists. */
  arrayIndex: 203,
  objectKey: 356,
};
