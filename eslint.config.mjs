// What the pages' scripts and Node's are held to. Types are checked by `tsc` (tsconfig.json), the form by Prettier.
import js from "@eslint/js";
import globals from "globals";

const PAGES = ["web/*/static/*/*.js", "control_plane/**/static/*/*.js"];
const NODE = ["tests/**/*.cjs", "control_plane/**/*.mjs", "tests/**/*.mjs", "eslint.config.mjs"];
const CLASSIC = ["**/cohort/{theme,site}.js"];

export default [
  { ignores: [".venv*/", "node_modules/", "site/", "var/", "cdk.out/", "tests/screenshots/palette.js"] },
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    rules: {
      // As for the Python code (pyproject.toml, max-complexity); `&&`, `?:` and the like count here, too.
      complexity: ["error", 9],
      eqeqeq: "error",
      "max-lines": ["error", 400],
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-use-before-define": ["error", { functions: false, variables: false, classes: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  { files: PAGES, languageOptions: { globals: globals.browser } },
  { files: NODE, languageOptions: { globals: { ...globals.node } } },
  { files: CLASSIC, languageOptions: { sourceType: "script" } },
  { files: ["**/uploads/checksum-worker.js"], languageOptions: { sourceType: "script", globals: globals.worker } },
];
