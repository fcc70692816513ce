// Reports what became of the mutants of scripts/mutants.
//   node mutants.mjs RESULT OUTCOMES [--write] [--check]   prints the score of cargo-mutants' outcomes.json
//   node mutants.mjs RESULT OUTCOMES --again               changes the result by outcomes of its survivors
//   node mutants.mjs RESULT --files                        prints the files that are to be changed
//   node mutants.mjs RESULT --changed                      prints the files whose source is not that of the result
//   node mutants.mjs RESULT --survivors                    prints, as regular expressions, the mutants to run again
//   node mutants.mjs RESULT --rules                        prints what is wrong with the result
//   node mutants.mjs RESULT                                prints the score of the result
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

/** Per cent of the mutants that compile. */
const GOAL = 90;
const KINDS = { CaughtMutant: "caught", Timeout: "timeout", MissedMutant: "missed", Unviable: "unviable" };

const [resultFile, second, ...flags] = process.argv.slice(2);
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const result = existsSync(resultFile) ? read(resultFile) : { files: {}, survivors: [] };
/** Of the code, not of the comments. */
function digest(file) {
  const lines = readFileSync(file, "utf8").split("\n").filter((line) => !/^\s*(\/\/|$)/.test(line));
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}
const configured = () =>
  [...readFileSync(".cargo/mutants.toml", "utf8").matchAll(/^ {4}"(src\/.*)",$/gm)].map(([, file]) => file);
const isChanged = (file) => !existsSync(file) || result.files[file]?.source !== digest(file);

/** Of the mutants that compile, those that made a test fail or run without end. */
function score(files) {
  const sum = (kind) => Object.values(files).reduce((total, counts) => total + counts[kind], 0);
  const caught = sum("caught") + sum("timeout");
  const viable = caught + sum("missed");
  return { caught, viable, unviable: sum("unviable"), percent: viable === 0 ? 0 : (100 * caught) / viable };
}

function print(files) {
  for (const [file, { caught, timeout, missed, unviable }] of Object.entries(files)) {
    const rest = `${missed} missed, ${unviable} do not compile`;
    console.log(`${file.padEnd(34)} ${String(caught + timeout).padStart(4)} caught, ${rest}`);
  }
  const { caught, viable, unviable, percent } = score(files);
  console.log(`${caught} of ${viable} mutants caught: ${percent.toFixed(1)} % (${unviable} more do not compile)`);
}

/** What cargo-mutants found: counts by file, and the survivors. A survivor is named by its line, not by the number. */
function outcomes(file) {
  const tree = resolve(file, "../../tree"); // the sources that were changed and tested
  const files = {};
  const survivors = [];
  for (const { scenario, summary } of read(file).outcomes) {
    const mutant = scenario.Mutant;
    const kind = KINDS[summary];
    if (mutant === undefined || kind === undefined) continue;
    files[mutant.file] ??= { source: digest(`${tree}/${mutant.file}`), caught: 0, timeout: 0, missed: 0, unviable: 0 };
    files[mutant.file][kind] += 1;
    if (kind !== "missed") continue;
    const line = readFileSync(`${tree}/${mutant.file}`, "utf8").split("\n")[mutant.span.start.line - 1].trim();
    survivors.push({ file: mutant.file, mutant: mutant.name.replace(/^[^ ]* /, ""), line });
  }
  return { files, survivors };
}

const same = (one) => (other) => one.file === other.file && one.mutant === other.mutant && one.line === other.line;
const why = (survivor) => result.survivors.find(same(survivor))?.why ?? "";

function rules() {
  const offenders = configured().filter((file) => !(file in result.files)).map((file) => `${file} has no result`);
  for (const file of Object.keys(result.files)) {
    if (!existsSync(file)) offenders.push(`${file} does not exist`);
    if (!configured().includes(file)) offenders.push(`${file} is not in .cargo/mutants.toml`);
  }
  for (const { file, mutant, why } of result.survivors) if (!why) offenders.push(`${file}: ${mutant}: why does it survive?`);
  const { missed } = Object.values(result.files).reduce((sum, { missed }) => ({ missed: sum.missed + missed }), { missed: 0 });
  if (missed !== result.survivors.length) offenders.push(`${missed} mutants are missed, ${result.survivors.length} named`);
  if (score(result.files).percent < GOAL) offenders.push(`less than ${GOAL} % of the mutants are caught`);
  return offenders;
}

function write(files, survivors) {
  const { caught, viable, unviable, percent } = score(files);
  const total = { mutants: viable + unviable, caught, missed: viable - caught, unviable, percent: Number(percent.toFixed(1)) };
  writeFileSync(resultFile, `${JSON.stringify({ total, files, survivors }, null, 2)}\n`);
}

/** Survivors that tests catch by now are survivors no more. */
function again(found) {
  for (const [file, { source }] of Object.entries(found.files)) {
    if (source !== result.files[file].source) throw new Error(`${file} has changed: run all of it`);
  }
  const left = [...found.survivors];
  const survivors = result.survivors.filter((survivor) => {
    const place = left.findIndex(same(survivor));
    if (place >= 0) left.splice(place, 1);
    else {
      result.files[survivor.file].missed -= 1;
      result.files[survivor.file].caught += 1;
    }
    return place >= 0;
  });
  write(result.files, survivors);
  print(result.files);
  for (const { file, mutant, line, why } of survivors) console.log(`\nsurvives: ${file}: ${mutant}\n  ${line}\n  ${why || "NOT EXPLAINED"}`);
}

if (second === "--files") configured().forEach((file) => console.log(file));
else if (second === "--changed") configured().filter(isChanged).forEach((file) => console.log(file));
else if (second === "--survivors") {
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const names = result.survivors.map(({ file, mutant }) => `^${escaped(file)}:\\d+:\\d+: ${escaped(mutant)}$`);
  new Set(names).forEach((name) => console.log(name));
} else if (second === "--rules") rules().forEach((offender) => console.log(offender));
else if (second === undefined) print(result.files);
else if (flags.includes("--again")) again(outcomes(second));
else {
  const found = outcomes(second);
  print(found.files);
  const survivors = found.survivors.map((survivor) => ({ ...survivor, why: why(survivor) }));
  for (const { file, mutant, line, why } of survivors) console.log(`\nsurvives: ${file}: ${mutant}\n  ${line}\n  ${why || "NOT EXPLAINED"}`);
  if (flags.includes("--write")) {
    const kept = Object.entries(result.files).filter(([file]) => !(file in found.files) && configured().includes(file));
    const files = Object.fromEntries([...kept, ...Object.entries(found.files)].sort(([a], [b]) => (a < b ? -1 : 1)));
    const others = result.survivors.filter(({ file }) => file in files && !(file in found.files));
    const all = [...others, ...survivors].sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)));
    write(files, all);
  }
  if (flags.includes("--check")) {
    const unexplained = survivors.filter(({ why }) => !why);
    const { percent } = score(found.files);
    if (percent < GOAL || unexplained.length > 0) {
      console.error(`${percent.toFixed(1)} % are caught (goal ${GOAL} %), ${unexplained.length} survivors are not explained`);
      process.exit(1);
    }
  }
}
