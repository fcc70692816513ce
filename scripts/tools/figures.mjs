// Compares measured figures with the committed ones.
//   node figures.mjs COMMITTED MEASURED [--check]
import { copyFileSync, existsSync, readFileSync } from "node:fs";

const ALLOWED_GROWTH = 0.05;
/** The budgets of CONTRIBUTING.md, and what else is meant to stay small: a figure above its goal is a failure. */
const GOALS = {
  "unpaid_402.query_instructions": 700_000,
  "payment.update_instructions": 4_500_000,
  "payment.cycles": 19_000_000,
  "payment.ledger_calls": 1,
  "payment_after_300.cycles": 19_500_000,
  "pay.update_instructions": 5_000_000,
  "pay.ledger_calls": 1,
  "transfer.update_instructions": 6_000_000,
  "transfer.ledger_calls": 2,
  "transfer_archived.ledger_calls": 3,
  "invoice.create_instructions": 2_000_000,
  "invoice.check_ledger_calls": 1,
  "invoice.check_cycles": 20_000_000,
  "invoice.paid_ledger_calls": 2,
  "forward.cycles": 8_000_000,
  "refused_signature.cycles": 13_500_000,
  "receipt.append_instructions": 300_000,
  "receipt.proof_instructions": 600_000,
  "recovery.ledger_calls": 2,
  "recovery_by_log.ledger_calls": 2,
  "idle_hour.cycles": 10_000_000,
  "wasm.gz_bytes": 1_000_000,
};

const [committedFile, measuredFile, mode] = process.argv.slice(2);
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const measured = read(measuredFile);
const committed = existsSync(committedFile) ? read(committedFile) : {};
const number = (value) => (value === undefined ? "-" : value.toLocaleString("en-US"));
const grown = [];
const missed = [];
for (const [name, value] of Object.entries(measured)) {
  const before = committed[name];
  const change = before ? `${(((value - before) / before) * 100).toFixed(1)} %` : "new";
  const goal = GOALS[name] === undefined ? "" : `goal ${number(GOALS[name])}${value > GOALS[name] ? "  MISSED" : ""}`;
  console.log(`${name.padEnd(42)} ${number(value).padStart(14)} ${change.padStart(9)}  ${goal}`);
  if (value > (GOALS[name] ?? Infinity)) missed.push(name);
  if (before === undefined || value > before * (1 + ALLOWED_GROWTH)) grown.push(name);
}
for (const name of Object.keys(GOALS)) if (!(name in measured)) missed.push(name);
if (missed.length > 0) {
  console.error(`Goals are missed: ${missed.join(", ")}`);
  process.exit(1);
}
const missing = Object.keys(committed).filter((name) => !(name in measured));
if (mode !== "--check") copyFileSync(measuredFile, committedFile);
else if (grown.length + missing.length > 0) {
  console.error(`Figures grew by more than 5 % or are not in benches/costs.json: ${[...grown, ...missing].join(", ")}`);
  console.error("If that is meant, run scripts/bench and commit benches/costs.json with the reason.");
  process.exit(1);
}
