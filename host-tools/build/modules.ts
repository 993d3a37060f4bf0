/**
 * Modules that `require` finds on Espruino for ESP32. Whatever else a source asks for must be bundled, and Node's own
 * modules cannot be.
 */
export const ENGINE_MODULES: ReadonlySet<string> = new Set([
  "Wifi",
  "net",
  "dgram",
  "http",
  "tls",
  "Storage",
  "Flash",
  "crypto",
  "heatshrink",
  "neopixel",
]);
