// Shrinks and optimises a wasm module, adds canister metadata to it and compresses it.
//   node optimise.mjs IN OUT [NAME=FILE …]      writes OUT and OUT.gz; each FILE becomes the public metadata section NAME
import { readFileSync, writeFileSync } from "node:fs";
import { gzip } from "@gfx/zopfli";
import binaryen from "binaryen";
import { namedInOrder } from "./order.mjs";

const [input, output, ...sections] = process.argv.slice(2);
const { Features } = binaryen;
// What rustc emits for wasm32-unknown-unknown and the IC accepts; nothing more may creep in.
const FEATURES =
  Features.MutableGlobals |
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.SignExt |
  Features.NontrappingFPToInt |
  Features.Multivalue |
  Features.ReferenceTypes |
  Features.CallIndirectOverlong;

function read(wasm) {
  const module = binaryen.readBinary(wasm);
  module.setFeatures(FEATURES);
  return module;
}

const module = read(readFileSync(input));
binaryen.setOptimizeLevel(3);
binaryen.setShrinkLevel(1);
binaryen.setDebugInfo(false);
binaryen.setGenerateStackIR(true);
binaryen.setOptimizeStackIR(true);
// A larger function stays one even if only one other calls it: in its caller it would look different in each of the
// callers that generics make, with other numbers for its locals, and gzip would find a tenth less to shorten.
binaryen.setOneCallerInlineMaxSize(100);
module.runPasses(["strip-debug", "strip-producers", "strip-target-features"]);
module.optimize();

const ordered = read(namedInOrder(Buffer.from(module.emitBinary())));
ordered.runPasses(["reorder-functions-by-name", "strip-debug"]);
for (const section of sections) {
  const [name, file] = section.split("=");
  ordered.addCustomSection(`icp:public ${name}`, readFileSync(file));
}
if (!ordered.validate()) throw new Error(`${input}: not valid after optimisation`);
const wasm = ordered.emitBinary();
writeFileSync(output, wasm);

// Writes no time and no name into the archive: the same bytes each time.
gzip(wasm, { numiterations: 15 }, (error, archive) => {
  if (error) throw error;
  writeFileSync(`${output}.gz`, archive);
});
