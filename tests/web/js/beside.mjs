// Loaded before each test: on a page the apps' static files lie beside each other; here each lies in its own app, and the signer where
// npm has it.
import { existsSync, globSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../../", import.meta.url);
const STATIC = globSync("{control_plane,web}/**/static", { cwd: ROOT }).map((folder) => `${folder}/`);
const SIGNER = ["../vendor/aws4fetch/aws4fetch.esm.mjs", "node_modules/aws4fetch/dist/aws4fetch.esm.mjs"];

const found = (specifier, parent) => {
  if (specifier === SIGNER[0]) return new URL(SIGNER[1], ROOT).href;
  if (!specifier.startsWith("../") || existsSync(fileURLToPath(new URL(specifier, parent)))) return specifier;
  const path = STATIC.map((folder) => new URL(folder + specifier.slice(3), ROOT)).find((one) => existsSync(fileURLToPath(one)));
  return path ? path.href : specifier;
};

registerHooks({
  resolve: (specifier, context, next) => next(context.parentURL ? found(specifier, context.parentURL) : specifier, context),
});
