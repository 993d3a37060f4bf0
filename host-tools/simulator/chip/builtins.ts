/**
 * The ECMAScript built-ins that Espruino 2v29 has, probed one by one on the interpreter. Everything else is taken out of
 * a chip's context, so that code which uses it fails there as it does on a board.
 */

/** Global names. */
export const GLOBALS =
  "Array ArrayBuffer Boolean DataView Date Error Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array JSON Math NaN Number Object Promise ReferenceError RegExp String SyntaxError TypeError Uint16Array Uint32Array Uint8Array Uint8ClampedArray decodeURIComponent encodeURIComponent eval globalThis isFinite isNaN parseFloat parseInt".split(
    " ",
  );

/** Properties of the globals, beside length, name and prototype; a global that is not listed has none. */
export const STATICS: { readonly [name: string]: string } = {
  Array: "isArray",
  Date: "now parse",
  JSON: "parse stringify",
  Math: "abs acos asin atan atan2 ceil cos exp floor log max min pow random round sign sin sqrt tan E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2",
  Number: "MAX_VALUE MIN_VALUE NaN NEGATIVE_INFINITY POSITIVE_INFINITY",
  Object:
    "assign getOwnPropertyDescriptor getOwnPropertyDescriptors getOwnPropertyNames create defineProperties defineProperty getPrototypeOf setPrototypeOf keys entries fromEntries values",
  Promise: "all resolve reject",
  String: "fromCharCode",
};

/** Properties of the prototypes; "TypedArray" stands for the prototype that all typed arrays share. */
export const PROTOTYPES: { readonly [name: string]: string } = {
  Array:
    "concat fill find findIndex pop push reverse shift unshift slice sort splice includes indexOf join forEach filter map every some reduce toString",
  ArrayBuffer: "byteLength",
  Boolean: "toString valueOf",
  DataView:
    "buffer byteLength byteOffset getInt8 setInt8 getUint8 setUint8 getInt16 setInt16 getUint16 setUint16 getInt32 setInt32 getUint32 setUint32 getFloat32 setFloat32 getFloat64 setFloat64",
  Date: "toString toISOString toUTCString getDate setDate getDay getFullYear setFullYear getHours setHours getMilliseconds setMilliseconds getMinutes setMinutes getMonth setMonth getSeconds setSeconds getTime setTime getTimezoneOffset getUTCDate getUTCDay getUTCFullYear getUTCHours getUTCMilliseconds getUTCMinutes getUTCMonth getUTCSeconds valueOf toJSON",
  Error: "message toString",
  Function: "apply bind call toString",
  Number: "toFixed toString valueOf",
  Object: "hasOwnProperty toString valueOf __proto__",
  Promise: "then catch",
  ReferenceError: "message",
  RegExp: "exec source toString test",
  String:
    "charAt charCodeAt concat endsWith includes indexOf lastIndexOf match padEnd padStart repeat replace replaceAll slice split substr substring startsWith toString trim toLowerCase toUpperCase valueOf",
  SyntaxError: "message",
  TypeError: "message",
  TypedArray:
    "buffer byteLength byteOffset every fill filter find findIndex forEach includes indexOf join map reverse reduce set slice some sort subarray toString",
};
