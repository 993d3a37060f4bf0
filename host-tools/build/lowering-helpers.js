/**
 * What TypeScript's ES5 output asks of "tslib", written for Espruino: no Object.defineProperty on functions, no
 * Array.prototype, no Symbol. Only what the accepted subset can ask for is here; the bundle keeps only what it uses.
 */

/** Class inheritance. Static members are copied when the class is made. */
export function __extends(derived, base) {
  for (var key in base) if (Object.prototype.hasOwnProperty.call(base, key)) derived[key] = base[key];
  derived.prototype = Object.create(base.prototype);
  derived.prototype.constructor = derived;
}

/** Object spread. */
export var __assign = Object.assign;

/** The rest of an object in a destructuring pattern. */
export function __rest(source, excluded) {
  var result = {};
  for (var key in source) if (excluded.indexOf(key) < 0) result[key] = source[key];
  return result;
}

/** Array spread: `[...to, ...from]`. */
export function __spreadArray(to, from) {
  return to.concat([].slice.call(from));
}
