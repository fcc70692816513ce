/** The canister's methods that this client calls, compared with the interface that is made from canister.did. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { methods } from "../src/canister.js";
import { canister } from "./network.js";

/** Whether a reply of that type can be read. Candid takes any `opt` for any other, so the types inside are compared. */
function reads(ours: IDL.Type, theirs: IDL.Type): boolean {
  if (ours instanceof IDL.OptClass && theirs instanceof IDL.OptClass) return reads(ours._type, theirs._type);
  return IDL.subtype(theirs, ours);
}

for (const [name, ours] of Object.entries(methods)) {
  test(`${name} has the types of canister.did`, () => {
    const { argTypes, retTypes } = canister.get(name)!;
    const given = "argument" in ours ? [ours.argument] : [];
    assert.equal(given.length, argTypes.length);
    given.forEach((type, at) => assert.ok(IDL.subtype(type, argTypes[at]!), `the canister cannot read ${type.display()}`));
    assert.equal(retTypes.length, 1);
    assert.ok(reads(ours.reply, retTypes[0]!), `${retTypes[0]!.display()} cannot be read`);
  });
}

test("one more field can be read, another variant cannot", () => {
  const { Record, Variant, Opt, Nat, Null } = IDL;
  const ours = Opt(Record({ status: Variant({ Settled: Record({}) }) }));
  const theirs = (variants: Record<string, IDL.Type>) => Opt(Record({ amount: Nat, status: Variant(variants) }));
  const Settled = Record({ block_index: Nat });
  assert.ok(reads(ours, theirs({ Settled })));
  assert.ok(!reads(ours, theirs({ Settled, Other: Null })));
});
