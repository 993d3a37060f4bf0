/** Host tests. The tests that need a real interpreter have a configuration of their own, jest.engine.config.js. */
module.exports = {
  testEnvironment: "node",
  // Simulated hours take seconds; a busy machine takes several times as long.
  testTimeout: 120_000,
  maxWorkers: "100%",
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "<rootDir>/test/engine/"],
  // These are ES modules, which Jest loads only when they are transformed.
  transform: { "^.+\\.[jt]s$": ["@swc/jest", { jsc: { parser: { syntax: "typescript" }, target: "es2022" } }] },
  transformIgnorePatterns: ["/node_modules/(?!esptool-js/lib/|@noble/)"],
};
