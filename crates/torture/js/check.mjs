// Talks to a torture canister through an independent agent and verifies every signature.
// Usage: node check.mjs GATEWAY_URL CANISTER_ID SECOND_CANISTER_ID MODULE_HASH_HEX
import assert from 'node:assert/strict';
import { Actor, Certificate, HttpAgent, lookupResultToBuffer } from '@icp-sdk/core/agent';
import { DelegationChain, DelegationIdentity, Ed25519KeyIdentity } from '@icp-sdk/core/identity';
import { Secp256k1KeyIdentity } from '@icp-sdk/core/identity/secp256k1';
import { IDL } from '@icp-sdk/core/candid';
import { Principal } from '@icp-sdk/core/principal';

const [host, canisterText, otherText, moduleHash] = process.argv.slice(2);
const canisterId = Principal.fromText(canisterText);
const otherId = Principal.fromText(otherText);

const idlFactory = () =>
  IDL.Service({
    cdk_noop: IDL.Func([], [], []),
    cdk_locks: IDL.Func([], [IDL.Nat32], ['query']),
    cdk_panic: IDL.Func([IDL.Text], [], []),
    cdk_counters: IDL.Func([], [IDL.Nat64, IDL.Nat64, IDL.Nat64], []),
    nope: IDL.Func([], [], ['query']),
  });

const agentOf = (identity) =>
  HttpAgent.create({
    host,
    identity,
    shouldFetchRootKey: true,
    verifyQuerySignatures: true,
  });

const session = Ed25519KeyIdentity.generate();
const owner = Secp256k1KeyIdentity.generate();
const chain = await DelegationChain.create(
  owner,
  session.getPublicKey(),
  new Date(Date.now() + 10 * 60 * 1000),
  { targets: [canisterId] },
);

const identities = {
  ed25519: Ed25519KeyIdentity.generate(),
  secp256k1: Secp256k1KeyIdentity.generate(),
  delegation: DelegationIdentity.fromDelegation(session, chain),
};

for (const [name, identity] of Object.entries(identities)) {
  const agent = await agentOf(identity);
  const actor = Actor.createActor(idlFactory, { agent, canisterId });
  assert.equal(await actor.cdk_locks(), 0, `${name}: a verified query`);
  await actor.cdk_noop();
  const counters = await actor.cdk_counters();
  assert.equal(counters.length, 3, `${name}: a verified update`);
  await assert.rejects(actor.cdk_panic('from node'), /from node/, `${name}: a certified reject`);
  await assert.rejects(actor.nope(), /nope/, `${name}: a rejected query`);
}

const agent = await agentOf(identities.ed25519);

// A certificate of the canister's module hash, checked by hand.
const path = [
  new TextEncoder().encode('canister'),
  canisterId.toUint8Array(),
  new TextEncoder().encode('module_hash'),
];
const { certificate } = await agent.readState(canisterId, { paths: [path] });
const certificateFor = (rootKey, principal) =>
  Certificate.create({ certificate, rootKey, principal: { canisterId: principal } });
const checked = await certificateFor(agent.rootKey, canisterId);
const data = lookupResultToBuffer(checked.lookup_path(path));
assert.equal(Buffer.from(data).toString('hex'), moduleHash, 'the module hash');

// It does not verify under another root key.
const forged = Uint8Array.from(agent.rootKey);
forged[forged.length - 1] ^= 1;
await assert.rejects(certificateFor(forged, canisterId), 'another root key');
const wrong = await HttpAgent.create({
  host,
  identity: identities.ed25519,
  rootKey: forged,
  verifyQuerySignatures: true,
});
const deceived = Actor.createActor(idlFactory, { agent: wrong, canisterId });
await assert.rejects(deceived.cdk_locks(), 'a query under another root key');
await assert.rejects(deceived.cdk_noop(), 'an update under another root key');

// The delegation names one target canister and is refused for another.
const limited = await agentOf(identities.delegation);
const elsewhere = Actor.createActor(idlFactory, { agent: limited, canisterId: otherId });
await assert.rejects(elsewhere.cdk_noop(), 'outside the targets of the delegation');

console.log('ok');
