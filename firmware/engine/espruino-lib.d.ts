/**
 * The standard library as Espruino 2v29 has it, in place of TypeScript's own: what is not here is missing on the engine
 * or does something else there. test/engine/language.test.ts compares it with a real interpreter.
 */

interface Object {
  hasOwnProperty(key: string | number): boolean;
  toString(): string;
  valueOf(): Object;
}

interface ObjectConstructor {
  assign<T extends object, U>(target: T, source: U): T & U;
  assign<T extends object, U, V>(target: T, first: U, second: V): T & U & V;
  create<T extends object>(prototype: T | null): T;
  defineProperty<T>(object: T, key: string, descriptor: PropertyDescriptor & ThisType<unknown>): T;
  entries<T>(object: { [key: string]: T } | ArrayLike<T>): [string, T][];
  fromEntries<T>(entries: readonly (readonly [string, T])[]): { [key: string]: T };
  getPrototypeOf(object: object): object | null;
  keys(object: object): string[];
  setPrototypeOf<T extends object>(object: T, prototype: object | null): T;
  values<T>(object: { [key: string]: T } | ArrayLike<T>): T[];
  readonly prototype: Object;
}
declare const Object: ObjectConstructor;

interface PropertyDescriptor {
  configurable?: boolean;
  enumerable?: boolean;
  value?: unknown;
  writable?: boolean;
  get?(): unknown;
  set?(value: never): void;
}

interface Function {
  readonly length: number;
}

interface CallableFunction extends Function {
  apply<T, R>(this: (this: T) => R, self: T): R;
  /** At most 256 arguments. */
  apply<T, A extends unknown[], R>(this: (this: T, ...args: A) => R, self: T, args: A): R;
  call<T, A extends unknown[], R>(this: (this: T, ...args: A) => R, self: T, ...args: A): R;
  bind<T, A extends unknown[], B extends unknown[], R>(
    this: (this: T, ...args: [...A, ...B]) => R,
    self: T,
    ...args: A
  ): (...args: B) => R;
}

interface NewableFunction extends Function {}

interface IArguments {
  readonly [index: number]: unknown;
  readonly length: number;
}

interface Boolean {
  valueOf(): boolean;
}
declare const Boolean: (value?: unknown) => boolean;

interface Number {
  toFixed(digits?: number): string;
  /** About 11 digits where the value needs more. */
  toString(radix?: number): string;
  valueOf(): number;
}
interface NumberConstructor {
  (value?: unknown): number;
  readonly MAX_VALUE: number;
  readonly MIN_VALUE: number;
  readonly NEGATIVE_INFINITY: number;
  readonly POSITIVE_INFINITY: number;
  readonly NaN: number;
}
declare const Number: NumberConstructor;

/** One character is one byte: codes above 255 are cut. */
interface String {
  readonly length: number;
  readonly [index: number]: string;
  charAt(index: number): string;
  charCodeAt(index: number): number;
  concat(...texts: string[]): string;
  endsWith(text: string, end?: number): boolean;
  includes(text: string, from?: number): boolean;
  indexOf(text: string, from?: number): number;
  lastIndexOf(text: string, from?: number): number;
  match(pattern: RegExp): RegExpMatchArray | null;
  padEnd(length: number, fill?: string): string;
  padStart(length: number, fill?: string): string;
  repeat(times: number): string;
  replace(pattern: string | RegExp, replacement: string): string;
  replace(pattern: string | RegExp, replacer: (match: string, ...groups: string[]) => string): string;
  replaceAll(pattern: string, replacement: string): string;
  slice(start?: number, end?: number): string;
  split(separator: string | RegExp): string[];
  startsWith(text: string, from?: number): boolean;
  substr(from: number, length?: number): string;
  substring(start: number, end?: number): string;
  toLowerCase(): string;
  toString(): string;
  toUpperCase(): string;
  trim(): string;
  valueOf(): string;
}
interface StringConstructor {
  (value?: unknown): string;
  /** Codes 0..255. */
  fromCharCode(...codes: number[]): string;
}
declare const String: StringConstructor;

interface TemplateStringsArray extends ReadonlyArray<string> {
  readonly raw: readonly string[];
}

interface ArrayLike<T> {
  readonly length: number;
  readonly [index: number]: T;
}
interface ConcatArray<T> extends ArrayLike<T> {
  join(separator?: string): string;
  slice(start?: number, end?: number): T[];
}

interface ReadonlyArray<T> {
  readonly length: number;
  readonly [index: number]: T;
  concat(...items: (T | ConcatArray<T>)[]): T[];
  every(test: (value: T, index: number, array: readonly T[]) => unknown): boolean;
  filter<S extends T>(test: (value: T, index: number, array: readonly T[]) => value is S): S[];
  filter(test: (value: T, index: number, array: readonly T[]) => unknown): T[];
  find(test: (value: T, index: number, array: readonly T[]) => unknown): T | undefined;
  findIndex(test: (value: T, index: number, array: readonly T[]) => unknown): number;
  forEach(visit: (value: T, index: number, array: readonly T[]) => void): void;
  includes(value: T, from?: number): boolean;
  indexOf(value: T, from?: number): number;
  join(separator?: string): string;
  map<U>(transform: (value: T, index: number, array: readonly T[]) => U): U[];
  reduce(combine: (sum: T, value: T, index: number, array: readonly T[]) => T): T;
  reduce<U>(combine: (sum: U, value: T, index: number, array: readonly T[]) => U, start: U): U;
  slice(start?: number, end?: number): T[];
  some(test: (value: T, index: number, array: readonly T[]) => unknown): boolean;
  toString(): string;
}

interface Array<T> {
  /** Cannot be assigned on the engine. */
  readonly length: number;
  [index: number]: T;
  concat(...items: (T | ConcatArray<T>)[]): T[];
  every(test: (value: T, index: number, array: T[]) => unknown): boolean;
  fill(value: T, start?: number, end?: number): this;
  filter<S extends T>(test: (value: T, index: number, array: T[]) => value is S): S[];
  filter(test: (value: T, index: number, array: T[]) => unknown): T[];
  find(test: (value: T, index: number, array: T[]) => unknown): T | undefined;
  findIndex(test: (value: T, index: number, array: T[]) => unknown): number;
  forEach(visit: (value: T, index: number, array: T[]) => void): void;
  includes(value: T, from?: number): boolean;
  indexOf(value: T, from?: number): number;
  join(separator?: string): string;
  map<U>(transform: (value: T, index: number, array: T[]) => U): U[];
  pop(): T | undefined;
  push(...items: T[]): number;
  reduce(combine: (sum: T, value: T, index: number, array: T[]) => T): T;
  reduce<U>(combine: (sum: U, value: T, index: number, array: T[]) => U, start: U): U;
  reverse(): T[];
  shift(): T | undefined;
  slice(start?: number, end?: number): T[];
  some(test: (value: T, index: number, array: T[]) => unknown): boolean;
  /** Not stable. */
  sort(compare?: (a: T, b: T) => number): this;
  splice(start: number, count?: number, ...items: T[]): T[];
  toString(): string;
  unshift(...items: T[]): number;
}
interface ArrayConstructor {
  new <T>(length: number): T[];
  <T>(length: number): T[];
  isArray(value: unknown): value is unknown[];
}
declare const Array: ArrayConstructor;

/** Characters, classes, `*`, `+`, `^`, `$` and groups that stand side by side. */
interface RegExp {
  exec(text: string): RegExpExecArray | null;
  test(text: string): boolean;
  readonly source: string;
  lastIndex: number;
}
interface RegExpConstructor {
  new (pattern: string, flags?: string): RegExp;
}
declare const RegExp: RegExpConstructor;
interface RegExpMatchArray extends Array<string> {
  index: number;
  input: string;
}
interface RegExpExecArray extends Array<string> {
  index: number;
  input: string;
}

interface Math {
  readonly E: number;
  readonly LN10: number;
  readonly LN2: number;
  readonly LOG10E: number;
  readonly LOG2E: number;
  readonly PI: number;
  readonly SQRT1_2: number;
  readonly SQRT2: number;
  abs(x: number): number;
  acos(x: number): number;
  asin(x: number): number;
  atan(x: number): number;
  atan2(y: number, x: number): number;
  ceil(x: number): number;
  cos(x: number): number;
  exp(x: number): number;
  floor(x: number): number;
  log(x: number): number;
  max(...values: number[]): number;
  min(...values: number[]): number;
  pow(x: number, y: number): number;
  /** The same row of numbers after every boot, unless E.srand changed that. */
  random(): number;
  round(x: number): number;
  sign(x: number): number;
  sin(x: number): number;
  sqrt(x: number): number;
  tan(x: number): number;
}
declare const Math: Math;

interface JSON {
  /** Accepts text behind the value. */
  parse(text: string): any;
  stringify(value: unknown, replacer?: null, space?: string | number): string;
}
declare const JSON: JSON;

interface Date {
  getDate(): number;
  getDay(): number;
  getFullYear(): number;
  getHours(): number;
  getMilliseconds(): number;
  getMinutes(): number;
  getMonth(): number;
  getSeconds(): number;
  getTime(): number;
  getTimezoneOffset(): number;
  setTime(milliseconds: number): number;
  toISOString(): string;
  toJSON(): string;
  toString(): string;
  valueOf(): number;
}
interface DateConstructor {
  new (value?: number | string): Date;
  new (year: number, month: number, day?: number, hours?: number, minutes?: number, seconds?: number): Date;
  /** Milliseconds, with fractions. */
  now(): number;
  parse(text: string): number;
}
declare const Date: DateConstructor;

/** Errors that the engine throws itself are mostly plain Errors. */
interface Error {
  message: string;
  stack?: string;
  toString(): string;
}
interface ErrorConstructor {
  new (message?: string): Error;
  (message?: string): Error;
}
declare const Error: ErrorConstructor;
interface TypeError extends Error {}
declare const TypeError: ErrorConstructor;
interface SyntaxError extends Error {}
declare const SyntaxError: ErrorConstructor;
interface ReferenceError extends Error {}
declare const ReferenceError: ErrorConstructor;

interface PromiseLike<T> {
  then<R = T, S = never>(
    done?: ((value: T) => R | PromiseLike<R>) | null,
    failed?: ((reason: any) => S | PromiseLike<S>) | null,
  ): PromiseLike<R | S>;
}
interface Promise<T> {
  then<R = T, S = never>(
    done?: ((value: T) => R | PromiseLike<R>) | null,
    failed?: ((reason: any) => S | PromiseLike<S>) | null,
  ): Promise<R | S>;
  catch<S = never>(failed?: ((reason: any) => S | PromiseLike<S>) | null): Promise<T | S>;
}
interface PromiseConstructor {
  new <T>(run: (resolve: (value: T | PromiseLike<T>) => void, reject: (reason?: unknown) => void) => void): Promise<T>;
  all<T>(promises: readonly (T | PromiseLike<T>)[]): Promise<T[]>;
  reject<T = never>(reason?: unknown): Promise<T>;
  resolve(): Promise<void>;
  resolve<T>(value: T | PromiseLike<T>): Promise<T>;
}
declare const Promise: PromiseConstructor;

interface ArrayBuffer {
  readonly byteLength: number;
}
interface ArrayBufferConstructor {
  new (bytes: number): ArrayBuffer;
}
declare const ArrayBuffer: ArrayBufferConstructor;

/** What Espruino's typed arrays share. Big ones need contiguous memory: allocate them once, at boot. */
interface TypedArray {
  [index: number]: number;
  readonly buffer: ArrayBuffer;
  readonly byteLength: number;
  readonly byteOffset: number;
  readonly length: number;
  every(test: (value: number, index: number) => unknown): boolean;
  fill(value: number, start?: number, end?: number): this;
  find(test: (value: number, index: number) => unknown): number | undefined;
  findIndex(test: (value: number, index: number) => unknown): number;
  forEach(visit: (value: number, index: number) => void): void;
  includes(value: number, from?: number): boolean;
  indexOf(value: number, from?: number): number;
  join(separator?: string): string;
  reduce<U>(combine: (sum: U, value: number, index: number) => U, start: U): U;
  reverse(): this;
  set(values: ArrayLike<number>, offset?: number): void;
  some(test: (value: number, index: number) => unknown): boolean;
  sort(compare?: (a: number, b: number) => number): this;
}
interface Uint8Array extends TypedArray {
  subarray(start?: number, end?: number): Uint8Array;
}
interface Int8Array extends TypedArray {
  subarray(start?: number, end?: number): Int8Array;
}
interface Uint8ClampedArray extends TypedArray {
  subarray(start?: number, end?: number): Uint8ClampedArray;
}
interface Uint16Array extends TypedArray {
  subarray(start?: number, end?: number): Uint16Array;
}
interface Int16Array extends TypedArray {
  subarray(start?: number, end?: number): Int16Array;
}
interface Uint32Array extends TypedArray {
  subarray(start?: number, end?: number): Uint32Array;
}
interface Int32Array extends TypedArray {
  subarray(start?: number, end?: number): Int32Array;
}
interface Float32Array extends TypedArray {
  subarray(start?: number, end?: number): Float32Array;
}
interface Float64Array extends TypedArray {
  subarray(start?: number, end?: number): Float64Array;
}
interface TypedArrayConstructor<T> {
  new (length: number): T;
  new (values: ArrayLike<number>): T;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): T;
}
declare const Uint8Array: TypedArrayConstructor<Uint8Array>;
declare const Int8Array: TypedArrayConstructor<Int8Array>;
declare const Uint8ClampedArray: TypedArrayConstructor<Uint8ClampedArray>;
declare const Uint16Array: TypedArrayConstructor<Uint16Array>;
declare const Int16Array: TypedArrayConstructor<Int16Array>;
declare const Uint32Array: TypedArrayConstructor<Uint32Array>;
declare const Int32Array: TypedArrayConstructor<Int32Array>;
declare const Float32Array: TypedArrayConstructor<Float32Array>;
declare const Float64Array: TypedArrayConstructor<Float64Array>;

/** Reads and writes out of bounds are silent on the engine. */
interface DataView {
  getFloat32(offset: number, littleEndian?: boolean): number;
  getFloat64(offset: number, littleEndian?: boolean): number;
  getInt16(offset: number, littleEndian?: boolean): number;
  getInt32(offset: number, littleEndian?: boolean): number;
  getInt8(offset: number): number;
  getUint16(offset: number, littleEndian?: boolean): number;
  getUint32(offset: number, littleEndian?: boolean): number;
  getUint8(offset: number): number;
  setFloat32(offset: number, value: number, littleEndian?: boolean): void;
  setFloat64(offset: number, value: number, littleEndian?: boolean): void;
  setInt16(offset: number, value: number, littleEndian?: boolean): void;
  setInt32(offset: number, value: number, littleEndian?: boolean): void;
  setInt8(offset: number, value: number): void;
  setUint16(offset: number, value: number, littleEndian?: boolean): void;
  setUint32(offset: number, value: number, littleEndian?: boolean): void;
  setUint8(offset: number, value: number): void;
}
interface DataViewConstructor {
  new (buffer: ArrayBuffer, byteOffset?: number, byteLength?: number): DataView;
}
declare const DataView: DataViewConstructor;

declare const NaN: number;
declare const Infinity: number;
declare function parseInt(text: string, radix?: number): number;
declare function parseFloat(text: string): number;
declare function isNaN(value: number): boolean;
declare function isFinite(value: number): boolean;
declare function encodeURIComponent(text: string): string;
declare function decodeURIComponent(text: string): string;
declare function btoa(bytes: string): string;
declare function atob(text: string): string;
declare function eval(code: string): unknown;

interface ThisType<T> {}
type Partial<T> = { [K in keyof T]?: T[K] };
type Required<T> = { [K in keyof T]-?: T[K] };
type Readonly<T> = { readonly [K in keyof T]: T[K] };
type Pick<T, K extends keyof T> = { [P in K]: T[P] };
type Record<K extends keyof any, T> = { [P in K]: T };
type Exclude<T, U> = T extends U ? never : T;
type Extract<T, U> = T extends U ? T : never;
type Omit<T, K extends keyof any> = Pick<T, Exclude<keyof T, K>>;
type NonNullable<T> = T & {};
type Parameters<T extends (...args: any) => any> = T extends (...args: infer P) => any ? P : never;
type ReturnType<T extends (...args: any) => any> = T extends (...args: any) => infer R ? R : any;
