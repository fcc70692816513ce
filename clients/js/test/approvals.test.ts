/** B6: approvals are powers of attorney. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { OfferRefused, PayerLedger } from "../src/index.js";
import { CKUSDC, ICP, identity, SPENDER } from "./support.js";
import { FakeNetwork } from "./network.js";

let net: FakeNetwork;
beforeEach(() => {
  net = new FakeNetwork();
});

describe("approvals", () => {
  const ledger = () => new PayerLedger(net.agent(), CKUSDC);
  const hours = (count: number) => BigInt(Date.now() + count * 3_600_000) * 1_000_000n;

  for (const spender of [identity.getPrincipal().toText(), "2vxsx-fae", "aaaaa-aa", "nobody", SPENDER.toUpperCase()]) {
    it(`go to canisters only, not to ${spender}`, async () => {
      for (const call of [
        () => ledger().approve(spender, 1n),
        () => ledger().ensureAllowance(spender, 1n),
        () => ledger().revoke(spender),
      ]) {
        await assert.rejects(call(), OfferRefused);
      }
      assert.deepEqual(net.approvals, []);
    });
  }

  for (const [field, call] of [
    ["amount", () => ledger().approve(SPENDER, -5n)],
    ["amount", () => ledger().approve(SPENDER, 1n << 128n)],
    ["amount", () => ledger().approve(SPENDER, 5 as unknown as bigint)],
    ["need", () => ledger().ensureAllowance(SPENDER, -1n)],
    ["expiresInSeconds", () => ledger().approve(SPENDER, 5n, { expiresInSeconds: 0 })],
    ["expiresInSeconds", () => ledger().approve(SPENDER, 5n, { expiresInSeconds: 1e300 })],
  ] as const) {
    it(`are not made of an odd ${field}: ${call}`, async () => {
      await assert.rejects(call(), (error: Error) => error instanceof RangeError && error.message.startsWith(`${field}:`));
      assert.deepEqual(net.approvals, []);
    });
  }

  it("end within an hour unless said otherwise, and neither lower nor shorten what stands", async () => {
    for (const [standing, amount, expiresInSeconds, expected, end] of [
      [{ allowance: 0n, expires_at: [] }, 5n, undefined, 5n, hours(1)],
      [{ allowance: 0n, expires_at: [] }, 5n, 7_200, 5n, hours(2)],
      [{ allowance: 9n, expires_at: [hours(3)] }, 5n, undefined, 9n, hours(3)],
      [{ allowance: 9n, expires_at: [hours(-1)] }, 5n, undefined, 5n, hours(1)],
      [{ allowance: 9n, expires_at: [] }, 50n, undefined, 50n, undefined],
    ] as [FakeNetwork["allowance"], bigint, number | undefined, bigint, bigint | undefined][]) {
      net.allowance = standing;
      if (standing.expires_at[0] !== undefined && standing.expires_at[0] < hours(0))
        net.beforeApproval = () => (net.allowance = { allowance: 0n, expires_at: [] });
      await ledger().approve(SPENDER, amount, expiresInSeconds === undefined ? {} : { expiresInSeconds });
      const made = net.approvals.at(-1)!;
      assert.equal(made.amount, expected);
      if (end === undefined) assert.deepEqual(made.expires_at, []);
      else assert.ok(made.expires_at[0]! >= end - 2_000_000_000n && made.expires_at[0]! <= end + 5_000_000_000n);
      net.beforeApproval = () => undefined;
    }
  });

  it("that change at the same time are read again", async () => {
    net.allowance = { allowance: 1n, expires_at: [] };
    let changes = 0;
    net.beforeApproval = () => {
      if (changes++ < 2) net.allowance = { allowance: 100n + BigInt(changes), expires_at: [] };
    };
    await ledger().approve(SPENDER, 50n);
    assert.equal(net.approvals.at(-1)!.amount, 102n);
  });

  it("are made when they are needed, within the cap", async () => {
    net.allowance = { allowance: 20_000n, expires_at: [] };
    assert.equal(await ledger().ensureAllowance(SPENDER, 20_000n), undefined);
    net.allowance = { allowance: 20_000n, expires_at: [hours(0)] };
    assert.equal(await ledger().ensureAllowance(SPENDER, 20_000n), 1n);
    await assert.rejects(ledger().ensureAllowance(SPENDER, 1_010_001n), /more than the 1010000/);
    await assert.rejects(ledger().ensureAllowance(SPENDER, 30_000n, { amount: 50_000_000n }), /more than the 1010000/);
    await assert.rejects(new PayerLedger(net.agent(), ICP).ensureAllowance(SPENDER, 30_000n), /more than the 0/);
    await ledger().ensureAllowance(SPENDER, 30_000n, { amount: 5_000_000n, maxAmount: 5_000_000n });
    assert.equal(net.allowance.allowance, 5_000_000n);
    await ledger().revoke(SPENDER);
    assert.equal(await ledger().allowance(SPENDER), 0n);
  });
});
