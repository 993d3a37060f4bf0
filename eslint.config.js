/** ESLint: recommended rules everywhere, and the engine's subset where code runs on a board. */
const js = require("@eslint/js");
const tseslint = require("typescript-eslint");
const tsx = require("tsx/cjs/api");

const espruino = tsx.require("./host-tools/build/eslint-espruino.ts", __filename).default;
const UNUSED = ["error", { argsIgnorePattern: "^_", caughtErrors: "none" }];

module.exports = tseslint.config(
  { ignores: ["coverage/", "build/", "node_modules/"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    rules: {
      "@typescript-eslint/no-unused-vars": UNUSED,
      // Constants that stand in a bundle are `const`; in loops written for the engine `let` may be all one list.
      "prefer-const": ["error", { destructuring: "all" }],
    },
  },
  {
    files: ["**/*.js"],
    languageOptions: {
      sourceType: "commonjs",
      globals: {
        require: "readonly",
        module: "writable",
        __filename: "readonly",
        __dirname: "readonly",
        process: "readonly",
      },
    },
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  {
    files: ["host-tools/build/lowering-helpers.js"],
    languageOptions: { sourceType: "module", ecmaVersion: 5 },
    rules: { "no-var": "off" },
  },
  {
    files: ["firmware/**/*.ts", "apps/**/*.ts", "test/scenarios/apps/*.ts"],
    ignores: ["**/*.d.ts"],
    plugins: { espruino },
    rules: {
      "espruino/subset": "error",
      // Written for the engine: `require` reaches its modules, and an array's index loop is the fast one.
      "@typescript-eslint/no-require-imports": "off",
      "@typescript-eslint/prefer-for-of": "off",
      // Spread of anything but an array is refused by the build.
      "prefer-spread": "off",
      // Hot paths reuse variables and branch within expressions: each statement and name costs the interpreter time.
      "no-useless-assignment": "off",
      "no-constant-condition": ["error", { checkLoops: false }],
      "@typescript-eslint/no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
    },
  },
  {
    files: ["test/engine/fixtures/*.ts"],
    rules: { "@typescript-eslint/no-require-imports": "off", "no-useless-assignment": "off" },
  },
  {
    files: ["firmware/engine/*.d.ts"],
    rules: {
      // The library's own shapes: empty interfaces that the compiler asks for by name, and JSON's any.
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-empty-object-type": "off",
      "@typescript-eslint/no-wrapper-object-types": "off",
      "@typescript-eslint/no-unsafe-function-type": "off",
      "@typescript-eslint/no-unused-vars": "off",
      "no-var": "off",
      "no-shadow-restricted-names": "off",
    },
  },
  {
    // What terminals print holds control characters.
    files: ["test/**/*.ts"],
    rules: { "no-control-regex": "off" },
  },
);
