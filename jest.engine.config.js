/** Tests that run inside a real Espruino, named by the environment variable ESPRUINO. */
module.exports = {
  ...require("./jest.config.js"),
  testMatch: ["<rootDir>/test/engine/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/"],
  globalSetup: "<rootDir>/test/engine/announce.ts",
  maxWorkers: 1,
  testTimeout: 120_000,
};
