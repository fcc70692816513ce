// Compiles a Motoko program of examples/ with the compiler that npm has as JavaScript.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** The module of `main`, a file in `folder`, whose node_modules hold the compiler. Warnings are errors. */
export function compileMotoko(folder, main) {
  const require = createRequire(join(folder, "package.json"));
  const motoko = require("motoko");
  motoko.loadPackage(require("motoko/packages/latest/core.json"));
  for (const file of readdirSync(folder)) if (file.endsWith(".mo")) motoko.write(file, readFileSync(join(folder, file), "utf8"));
  motoko.setExtraFlags(["-Werror"]);
  return motoko.wasm(main, "ic").wasm;
}
