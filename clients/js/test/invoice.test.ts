import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { accountText, checkInvoice, invoiceAccount, type InvoiceExpectations } from "../src/index.js";

interface Vector {
  canister: string;
  id: string;
  account: string;
  accountIdentifier: string;
}

const file = readFileSync(new URL("../../../../crates/x402-icp/tests/vectors.json", import.meta.url), "utf8");
const { invoices } = JSON.parse(file) as { invoices: Vector[] };

describe("the account of an invoice", () => {
  for (const { canister, id, account } of invoices) {
    it(`${id.slice(0, 8)}… of ${canister}`, async () => {
      const { owner, subaccount } = await invoiceAccount(canister, id);
      assert.equal(accountText(owner, subaccount), account);
      assert.deepEqual(await invoiceAccount(owner, new Uint8Array(Buffer.from(id, "hex"))), { owner, subaccount });
    });
  }

  it("needs a canister and an id", async () => {
    const [{ canister, id }] = invoices as [Vector];
    for (const bad of [id.slice(2), `${id}00`, "AB".repeat(32), new Uint8Array(31)])
      await assert.rejects(invoiceAccount(canister, bad), /^RangeError: id: /);
    for (const bad of ["2vxsx-fae", "aaaaa-aa", "", canister.toUpperCase()]) await assert.rejects(invoiceAccount(bad, id), /^RangeError: canister /);
  });
});

describe("an invoice that is shown", () => {
  const [{ canister, id, account, accountIdentifier }, other] = invoices as [Vector, Vector];
  const ledger = "xevnm-gaaaa-aaaar-qafnq-cai";
  const now = Date.parse("2026-11-29T18:00:00Z");
  const expected: InvoiceExpectations = { canister, id, ledger, maxAmount: 20_000n, network: "icp:1", now };
  const invoice = {
    status: "open",
    network: "icp:1",
    asset: ledger,
    amount: "20000",
    balance: "0",
    account,
    expiresAt: "2026-11-29T19:00:00Z",
  };

  it("is paid to the account that is computed, and what is missing", async () => {
    const paid = await checkInvoice(invoice, expected);
    assert.equal(paid.accountText, account);
    assert.deepEqual(paid.account, await invoiceAccount(canister, id));
    assert.equal(paid.amount, 20_000n);
    assert.equal(paid.accountIdentifier, accountIdentifier);
    await checkInvoice({ ...invoice, accountIdentifier }, expected);
    assert.equal((await checkInvoice({ ...invoice, balance: "15000" }, expected)).amount, 5_000n);
  });

  const bad: [string, object][] = [
    ["account", { account: other.account }],
    ["account", { account: canister }],
    ["account", { account: undefined }],
    ["accountIdentifier", { accountIdentifier: other.accountIdentifier }],
    ["accountIdentifier", { accountIdentifier: accountIdentifier.toUpperCase() }],
    ["accountIdentifier", { accountIdentifier: {} }],
    ["asset", { asset: "ryjl3-tyaaa-aaaaa-aaaba-cai" }],
    ["network", { network: "icp:2" }],
    ["status", { status: "paid" }],
    ["status", { status: "expired" }],
    ["amount", { amount: "20001" }],
    ["amount", { amount: "-1" }],
    ["amount", { amount: 1 }],
    ["amount", { amount: "9".repeat(40) }],
    ["balance", { balance: "20000" }],
    ["balance", { balance: undefined }],
    ["expiresAt", { expiresAt: "2026-11-29T18:00:59Z" }],
    ["expiresAt", { expiresAt: "soon" }],
    ["expiresAt", { expiresAt: undefined }],
  ];
  for (const [member, change] of bad) {
    it(`is refused with ${JSON.stringify(change)}`, async () => {
      await assert.rejects(checkInvoice({ ...invoice, ...change }, expected), (error: Error) => error instanceof RangeError && error.message.startsWith(`${member} `));
    });
  }

  it("attack_a_limit_that_is_no_number_is_no_limit", async () => {
    const huge = { ...invoice, amount: "9".repeat(30) };
    for (const maxAmount of [undefined, null, NaN, "20,000", "1000000", 1e40, {}]) {
      const odd = { ...expected, maxAmount } as unknown as InvoiceExpectations;
      await assert.rejects(checkInvoice(huge, odd), /^RangeError: maxAmount /, String(maxAmount));
    }
  });

  it("is an object", async () => {
    for (const odd of [null, [], "x", undefined]) await assert.rejects(checkInvoice(odd, expected), RangeError);
  });
});
