// On a page the apps' static files lie beside each other; here each lies in its own app, and the signer where npm has it.
import { registerHooks } from "node:module";

const BESIDE = [
  [/^\.\.\/(files|uploads)\//, "../../../web/$1/static/$1/"],
  [/^\.\.\/vendor\/aws4fetch\//, "../../../node_modules/aws4fetch/dist/"],
];

const found = (specifier) => {
  for (const [beside, own] of BESIDE) if (beside.test(specifier)) return new URL(specifier.replace(beside, own), import.meta.url).href;
  return specifier;
};

registerHooks({ resolve: (specifier, context, next) => next(found(specifier), context) });
