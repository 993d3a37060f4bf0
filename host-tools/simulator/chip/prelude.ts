/**
 * Source that runs first in every chip's context: takes out what Espruino lacks, puts its own Promise in, makes native
 * functions charge what depends on lengths, and hands helpers of this realm to the host. Plain script, strict.
 */
import { GLOBALS, PROTOTYPES, STATICS } from "./builtins";
import { UNIT_COST } from "./cost-table";

/** What the prelude returns to the host. */
export interface RealmHelpers {
  arrayBuffer(length: number): ArrayBuffer;
  uint8Array(length: number): Uint8Array;
  error(message: string): Error;
  typeError(message: string): Error;
  syntaxError(message: string): Error;
  /** Deep copy of plain data into this realm. */
  local<T>(value: T): T;
  /** A string object that stands for live memory (E.memoryArea over RAM). */
  liveString(text: string, bytes: Uint8Array): string;
  plus(a: unknown, b: unknown): unknown;
  append(value: unknown): unknown;
  at(object: unknown, key: unknown): unknown;
  /** Sets the clock behind Date: a function that returns Unix milliseconds. */
  clock(now: () => number): void;
  random(next: () => number): void;
  /** Functions registered with `on`. */
  listeners(emitter: object, event: string): ((...args: unknown[]) => void)[];
  /** Sets how a promise's continuation is queued. */
  later(queue: (run: () => void) => void): void;
  unhandled(report: (reason: unknown) => void): void;
}

/** Characters from which on a text is taken to be a view on flash: no text in RAM is so long. */
export const VIEW_LENGTH = 16384;

const PROMISE = `
  function EPromise(executor) {
    if (typeof executor !== "function") throw new TypeError("Executor function required in Promise constructor");
    this.__s = 0; this.__v = undefined; this.__h = [];
    var p = this, done = false;
    function settle(s, v) {
      if (done) return;
      done = true;
      finish(p, s, v);
    }
    try { executor(function (v) { settle(1, v); }, function (v) { settle(2, v); }); }
    catch (e) { if (C[1] < 0) throw e; settle(2, e); }
  }
  function finish(p, s, v) {
    if (s === 1 && v && (typeof v === "object" || typeof v === "function") && typeof v.then === "function") {
      v.then(function (x) { finish(p, 1, x); }, function (x) { finish(p, 2, x); });
      return;
    }
    p.__s = s; p.__v = v;
    var h = p.__h; p.__h = [];
    if (s === 2 && !h.length) later(function () { if (!p.__u) unhandled(v); });
    for (var i = 0; i < h.length; i++) run(p, h[i]);
  }
  function run(p, h) {
    later(function () {
      var f = p.__s === 1 ? h.f : h.r;
      if (typeof f !== "function") { finish(h.p, p.__s, p.__v); return; }
      var v;
      try { v = f(p.__v); } catch (e) { if (C[1] < 0) throw e; finish(h.p, 2, e); return; }
      finish(h.p, 1, v);
    });
  }
  EPromise.prototype.then = function (f, r) {
    var h = { f: f, r: r, p: new EPromise(function () {}) };
    this.__u = true;
    if (this.__s) run(this, h); else this.__h.push(h);
    return h.p;
  };
  EPromise.prototype.catch = function (r) { return this.then(undefined, r); };
  EPromise.resolve = function (v) { return new EPromise(function (f) { f(v); }); };
  EPromise.reject = function (v) { return new EPromise(function (f, r) { r(v); }); };
  EPromise.all = function (list) {
    return new EPromise(function (f, r) {
      var left = list.length, out = [];
      if (!left) { f(out); return; }
      for (var i = 0; i < list.length; i++) (function (i) {
        EPromise.resolve(list[i]).then(function (v) { out[i] = v; if (!--left) f(out); }, r);
      })(i);
    });
  };
  G.Promise = EPromise;`;

const PRUNE = `
  function keep(object, names) {
    if (!object) return;
    var own = Object.getOwnPropertyNames(object);
    for (var i = 0; i < own.length; i++) {
      var n = own[i];
      if (n === "length" || n === "name" || n === "prototype" || n === "constructor" || names.indexOf(n) >= 0) continue;
      var d = Object.getOwnPropertyDescriptor(object, n);
      if (d && d.configurable) delete object[n];
    }
  }
  function words(s) { return s ? s.split(" ") : []; }
  function prune() {
    var P = ${JSON.stringify(PROTOTYPES)}, S = ${JSON.stringify(STATICS)}, N = ${JSON.stringify(GLOBALS)};
    var typed = Object.getPrototypeOf(Uint8Array);
    keep(typed.prototype, words(P.TypedArray)); keep(typed, []);
    for (var i = 0; i < N.length; i++) {
      var v = G[N[i]];
      if (v === G || !v || (typeof v !== "object" && typeof v !== "function")) continue;
      keep(v, words(S[N[i]]));
      if (v.prototype && N[i] !== "Function" && N[i] !== "Object" && N[i].indexOf("Error") < 0)
        keep(v.prototype, words(P[N[i]]));
    }
    keep(Object.prototype, words(P.Object));
    var g = Object.getOwnPropertyNames(G);
    for (i = 0; i < g.length; i++) if (N.indexOf(g[i]) < 0) {
      var d = Object.getOwnPropertyDescriptor(G, g[i]);
      if (d.configurable) delete G[g[i]];
    }
  }`;

/** Wrappers that charge by length; the fixed part of a call is charged where it is made. */
const CHARGES = `
  var B = ${JSON.stringify(UNIT_COST)};
  function wrap(object, name, measure) {
    var original = object[name], each = B[name];
    if (!original || !each) return;
    Object.defineProperty(object, name, { configurable: true, writable: true, value: function () {
      C[0] += each * measure(this, arguments);
      return original.apply(this, arguments);
    } });
  }
  function wrapResult(object, name) {
    var original = object[name], each = B[name];
    if (!original || !each) return;
    Object.defineProperty(object, name, { configurable: true, writable: true, value: function () {
      var result = original.apply(this, arguments);
      // Only a view on flash is so long, and a piece of a view is a view, not a copy.
      if (result !== null && result !== undefined && !(this.length > ${VIEW_LENGTH})) C[0] += each * (result.length || 0);
      return result;
    } });
  }
  function searched(text, from, found) {
    var begin = Math.min(Math.max(from | 0, 0), text.length);
    return (found < 0 ? text.length : found) - begin;
  }
  function own(self) { return self.length || 0; }
  function first(self, list) { return list.length && list[0] ? list[0].length || 0 : 0; }
  function charges() {
    var find = String.prototype.indexOf;
    Object.defineProperty(String.prototype, "indexOf", { configurable: true, writable: true, value: function (what, from) {
      var found = find.call(this, what, from);
      C[0] += B.indexOf * searched(this, from, found);
      return found;
    } });
    var s = ["lastIndexOf", "includes", "split", "match", "replace", "toLowerCase", "toUpperCase", "trim"];
    s.forEach(function (n) { wrap(String.prototype, n, own); });
    ["substr", "substring", "slice", "concat", "repeat", "padStart", "padEnd"].forEach(function (n) {
      wrapResult(String.prototype, n);
    });
    ["join", "shift", "slice", "concat", "indexOf", "includes", "reverse", "splice", "map", "filter", "forEach", "reduce", "some",
      "every", "find", "findIndex", "fill", "sort"].forEach(function (n) {
      var each = B["array " + n];
      if (!each) return;
      var original = Array.prototype[n];
      Object.defineProperty(Array.prototype, n, { configurable: true, writable: true, value: function () {
        C[0] += each * (this.length || 0);
        return original.apply(this, arguments);
      } });
    });
    var typed = Object.getPrototypeOf(Uint8Array.prototype);
    ["fill", "indexOf", "map", "forEach", "slice", "join"].forEach(function (n) {
      var each = B["typed " + n], original = typed[n];
      if (!each || !original) return;
      Object.defineProperty(typed, n, { configurable: true, writable: true, value: function () {
        C[0] += each * this.length;
        return original.apply(this, arguments);
      } });
    });
    var setArray = typed.set;
    Object.defineProperty(typed, "set", { configurable: true, writable: true, value: function (source, offset) {
      var at = offset | 0, n = source.length, end = Math.min(n, this.length - at), i;
      var text = typeof source === "string" || source instanceof String;
      var live = text && source.__live;
      var overlaps = !text && source.buffer === this.buffer &&
        source.byteOffset <= this.byteOffset + at * this.byteLength / (this.length || 1);
      C[0] += n * B[live ? "set memory" : text ? "set text" : overlaps ? "set overlapping" : "set array"];
      if (!text) {
        if (n + at > this.length) source = Array.prototype.slice.call(source, 0, Math.max(0, this.length - at));
        setArray.call(this, source, at);
        return;
      }
      // Native memory is read while it is written: where source and target overlap, bytes repeat.
      if (live) for (i = 0; i < end; i++) this[at + i] = live[i];
      else for (i = 0; i < end; i++) this[at + i] = source.charCodeAt(i);
    } });
    var stringify = JSON.stringify, parse = JSON.parse;
    JSON.stringify = function () {
      var text = stringify.apply(JSON, arguments);
      if (text !== undefined) C[0] += B["JSON.stringify"] * text.length + B["JSON.stringify part"] * parts(text) +
        B["JSON.stringify object"] * objects(text);
      return text;
    };
    JSON.parse = function (text) {
      text = String(text);
      C[0] += B["JSON.parse"] * text.length + B["JSON.parse part"] * parts(text) + B["JSON.parse object"] * objects(text);
      try { return parse(text); }
      catch (error) { return parsePrefix(text, error); }
    };
    function parts(text) {
      var n = 0;
      for (var i = 0; i < text.length; i++) { var c = text.charCodeAt(i); if (c === 44 || c === 58) n++; }
      return n;
    }
    function objects(text) {
      var n = 0;
      for (var i = 0; i < text.length; i++) { var c = text.charCodeAt(i); if (c === 123 || c === 91) n++; }
      return n;
    }
    function parsePrefix(text, error) {
      // Espruino ignores what follows the value.
      var at = /position (\\d+)/.exec(error.message);
      if (/after JSON/.test(error.message) && at) return parse(text.slice(0, +at[1]));
      throw new SyntaxError(error.message);
    }
    var from = String.fromCharCode;
    String.fromCharCode = function (a, b) {
      if (arguments.length === 1) return from(a & 255);
      if (arguments.length === 2) return from(a & 255, b & 255);
      var text = "";
      for (var i = 0; i < arguments.length; i++) text += from(arguments[i] & 255);
      if (text.length > 8) C[0] += B.fromCharCode * text.length;
      return text;
    };
    var keys = Object.keys;
    Object.keys = function (o) {
      var list = keys(o);
      C[0] += B["Object.keys"] * list.length;
      return list;
    };
  }`;

export const PRELUDE = `(function (C) {
  "use strict";
  var G = globalThis;
  var later = null, unhandled = null, now = null;
  ${PRUNE}
  ${CHARGES}
  ${PROMISE}
  var define = Object.defineProperty, Weak = WeakMap, ownKeys = Object.keys, HostDate = G.Date, utc = HostDate.UTC, setters = {};
  ["FullYear", "Month", "Date", "Hours", "Minutes", "Seconds", "Milliseconds"].forEach(function (part) {
    setters[part] = HostDate.prototype["setUTC" + part];
  });
  prune();
  charges();
  function EDate(a, b, c, d, e, f, g) {
    if (!(this instanceof EDate)) return new HostDate(now()).toUTCString();
    var n = arguments.length;
    var value = new HostDate(n === 0 ? now() : n === 1 ? +a || HostDate.parse(a)
      : utc(a, b, c === undefined ? 1 : c, d || 0, e || 0, f || 0, g || 0));
    Object.setPrototypeOf(value, EDate.prototype);
    return value;
  }
  EDate.prototype = HostDate.prototype;
  define(EDate.prototype, "constructor", { value: EDate, configurable: true, writable: true });
  // The interpreter's time zone is UTC until it is told otherwise; the host's must not leak in.
  ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"].forEach(function (part) {
    EDate.prototype["get" + part] = EDate.prototype["getUTC" + part];
    if (setters[part]) EDate.prototype["set" + part] = setters[part];
  });
  EDate.prototype.getTimezoneOffset = function () { return 0; };
  EDate.prototype.toString = EDate.prototype.toUTCString;
  EDate.now = function () { return now(); };
  EDate.parse = HostDate.parse;
  G.Date = EDate;
  // Counting keys is linear here too, so a count serves for some accesses.
  var sizes = new Weak(), isArray = Array.isArray;
  function size(o) {
    var entry = sizes.get(o);
    if (!entry) sizes.set(o, entry = { n: 0, left: 0 });
    if (--entry.left < 0) { entry.n = ownKeys(o).length; entry.left = entry.n >> 1; }
    return entry.n;
  }
  function local(value) {
    if (value === null || typeof value !== "object") return value;
    if (value instanceof Object) return value;
    if (Array.isArray(value)) {
      var list = [];
      for (var i = 0; i < value.length; i++) list[i] = local(value[i]);
      return list;
    }
    var copy = {}, keys = Object.keys(value);
    for (i = 0; i < keys.length; i++) copy[keys[i]] = local(value[keys[i]]);
    return copy;
  }
  // Every object is an emitter on Espruino; events are queued, not called.
  function handlers(o, event, make) {
    if (!o.__on) {
      if (!make) return [];
      define(o, "__on", { value: {} });
    }
    var key = "e" + event;
    return o.__on[key] || (make ? (o.__on[key] = []) : []);
  }
  function method(name, f) { define(Object.prototype, name, { value: f, configurable: true, writable: true }); }
  method("on", function (event, f) { handlers(this, event, true).push(f); });
  method("addListener", function (event, f) { handlers(this, event, true).push(f); });
  method("prependListener", function (event, f) { handlers(this, event, true).unshift(f); });
  method("removeListener", function (event, f) {
    var list = handlers(this, event), at = list.indexOf(f);
    if (at >= 0) list.splice(at, 1);
  });
  method("removeAllListeners", function (event) {
    if (event === undefined) { for (var key in this.__on) this.__on[key] = []; return; }
    handlers(this, event).length = 0;
  });
  method("emit", function (event) {
    var list = handlers(this, event).slice(), args = [].slice.call(arguments, 1), self = this;
    for (var i = 0; i < list.length; i++) (function (f) { later(function () { f.apply(self, args); }); })(list[i]);
    return list.length > 0;
  });
  function EFunction() {
    var n = arguments.length, names = [];
    for (var i = 0; i < n - 1; i++) names.push(arguments[i]);
    return G.__run("(function(" + names.join(",") + "){" + (n ? arguments[n - 1] : "") + "})");
  }
  EFunction.prototype = G.Function.prototype;
  define(EFunction.prototype, "constructor", { value: EFunction, configurable: true, writable: true });
  G.Function = EFunction;
  return {
    arrayBuffer: function (n) { return new ArrayBuffer(n); },
    uint8Array: function (n) { return new Uint8Array(n); },
    error: function (m) { return new Error(m); },
    typeError: function (m) { return new TypeError(m); },
    syntaxError: function (m) { return new SyntaxError(m); },
    local: local,
    liveString: function (text, bytes) {
      var s = new String(text);
      define(s, "__live", { value: bytes });
      return s;
    },
    plus: function (a, b) {
      var r = a + b;
      if (typeof r === "string") C[0] += r.length * B.concat;
      return r;
    },
    append: function (v) {
      if (typeof v === "string") C[0] += v.length * B.append;
      return v;
    },
    at: function (o, k) {
      if (typeof k === "number") {
        if (isArray(o) && k > 0) C[0] += (k < o.length ? k : o.length) * B.arrayIndex;
      } else if (typeof k === "string" && typeof o === "object" && o !== null) C[0] += size(o) * B.objectKey;
      return k;
    },
    clock: function (f) { now = f; },
    random: function (f) { Math.random = function () { return f(); }; },
    listeners: function (o, event) { return handlers(o, event); },
    later: function (f) { later = f; },
    unhandled: function (f) { unhandled = f; }
  };
})`;
