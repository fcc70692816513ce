// Shrinks and optimises a wasm module and adds canister metadata to it.
//   node optimise.mjs IN OUT [NAME=FILE …]      each FILE becomes the public metadata section NAME
import { readFileSync, writeFileSync } from "node:fs";
import binaryen from "binaryen";

const [input, output, ...sections] = process.argv.slice(2);
const { Features } = binaryen;
const module = binaryen.readBinary(readFileSync(input));
// What rustc emits for wasm32-unknown-unknown and the IC accepts; nothing more may creep in.
module.setFeatures(
  Features.MutableGlobals |
    Features.BulkMemory |
    Features.BulkMemoryOpt |
    Features.SignExt |
    Features.NontrappingFPToInt |
    Features.Multivalue |
    Features.ReferenceTypes |
    Features.CallIndirectOverlong,
);
binaryen.setOptimizeLevel(3);
binaryen.setShrinkLevel(1);
binaryen.setDebugInfo(false);
module.runPasses(["strip-debug", "strip-producers", "strip-target-features"]);
module.optimize();
for (const section of sections) {
  const [name, file] = section.split("=");
  module.addCustomSection(`icp:public ${name}`, readFileSync(file));
}
if (!module.validate()) throw new Error(`${input}: not valid after optimisation`);
writeFileSync(output, module.emitBinary());
