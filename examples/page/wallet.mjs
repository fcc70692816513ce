/**
 * Example: the same for users of a wallet (OISY and others of ICRC-25, ICRC-27, ICRC-29 and ICRC-49). The money is in the
 * wallet already. The user agrees to two calls there: `icrc2_approve` of the ledger, and `pay` of the Tollkeeper.
 */
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { Signer } from "@icp-sdk/signer";
import { SignerAgent } from "@icp-sdk/signer/agent";
import { PostMessageTransport } from "@icp-sdk/signer/web";
import { idlFactory } from "../../scripts/tools/tollkeeper.did.mjs";
import { buyByCall } from "./by-call.mjs";

/** `canister`, `path` and `wallet` (its URL); elsewhere than on mainnet also `host` and `rootKey` (hexadecimal). */
const config = await (await fetch("/config.json")).json();
const element = (id) => document.getElementById(id);
const key = config.rootKey ? { rootKey: Uint8Array.from(config.rootKey.match(/../g), (pair) => parseInt(pair, 16)) } : {};
/** Asks what everybody may ask; the wallet is for what its user has to agree to. */
const agent = await HttpAgent.create({ host: config.host ?? "https://icp-api.io", ...key });
const tollkeeperFor = (asked) => Actor.createActor(idlFactory, { agent: asked, canisterId: config.canister });
const ledgerIdl = ({ IDL }) => {
  const Account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
  const Blob = IDL.Opt(IDL.Vec(IDL.Nat8));
  const approve = IDL.Record({
    from_subaccount: Blob,
    spender: Account,
    amount: IDL.Nat,
    expected_allowance: IDL.Opt(IDL.Nat),
    expires_at: IDL.Opt(IDL.Nat64),
    fee: IDL.Opt(IDL.Nat),
    memo: Blob,
    created_at_time: IDL.Opt(IDL.Nat64),
  });
  const Err = IDL.Variant({
    BadFee: IDL.Record({ expected_fee: IDL.Nat }),
    InsufficientFunds: IDL.Record({ balance: IDL.Nat }),
    AllowanceChanged: IDL.Record({ current_allowance: IDL.Nat }),
    Expired: IDL.Record({ ledger_time: IDL.Nat64 }),
    TooOld: IDL.Null,
    CreatedInFuture: IDL.Record({ ledger_time: IDL.Nat64 }),
    Duplicate: IDL.Record({ duplicate_of: IDL.Nat }),
    TemporarilyUnavailable: IDL.Null,
    GenericError: IDL.Record({ error_code: IDL.Nat, message: IDL.Text }),
  });
  const allowance = IDL.Record({ allowance: IDL.Nat, expires_at: IDL.Opt(IDL.Nat64) });
  return IDL.Service({
    icrc2_allowance: IDL.Func([IDL.Record({ account: Account, spender: Account })], [allowance], ["query"]),
    icrc2_approve: IDL.Func([approve], [IDL.Variant({ Ok: IDL.Nat, Err })], []),
  });
};
const HOUR_MS = 3_600_000;

const [quote] = await tollkeeperFor(agent).quote({ method: "GET", path: config.path });
const [offer] = quote.offers;
const inTokens = (units) => `${Number(units) / 10 ** offer.decimals} ${offer.symbol}`;
element("price").value = `${inTokens(offer.amount)}, and ${inTokens(offer.fee)} to the ledger`;

// One window for all calls: it is opened in the click, and stays open until the last one.
const signer = new Signer({ transport: new PostMessageTransport({ url: config.wallet }), autoCloseTransportChannel: false });

/** Makes sure that the Tollkeeper may take this purchase; the wallet asks its user. */
async function approve(owner, walletAgent) {
  const ledger = (asked) => Actor.createActor(ledgerIdl, { agent: asked, canisterId: offer.ledger });
  const spender = { owner: tollkeeperId(), subaccount: [] };
  const standing = await ledger(agent).icrc2_allowance({ account: { owner, subaccount: [] }, spender });
  const need = offer.amount + offer.fee;
  const soon = BigInt(Date.now() + 60_000) * 1_000_000n;
  if (standing.allowance >= need && (standing.expires_at[0] ?? soon) >= soon) return;
  const answer = await ledger(walletAgent).icrc2_approve({
    from_subaccount: [],
    spender,
    amount: need,
    // What changes meanwhile is not overwritten.
    expected_allowance: [standing.allowance],
    expires_at: [BigInt(Date.now() + HOUR_MS) * 1_000_000n],
    fee: [],
    memo: [],
    created_at_time: [],
  });
  if ("Err" in answer) throw new Error(`icrc2_approve: ${Object.keys(answer.Err)[0]}`);
}

/** The canister that the page was made for, not the one that a node names. */
function tollkeeperId() {
  return Actor.canisterIdOf(tollkeeperFor(agent));
}

element("buy").disabled = false;
element("buy").addEventListener("click", async () => {
  element("problem").textContent = "";
  element("buy").disabled = true;
  try {
    await signer.openChannel();
    const standards = (await signer.getSupportedStandards()).map(({ name }) => name);
    for (const needed of ["ICRC-27", "ICRC-49"]) if (!standards.includes(needed)) throw new Error(`this wallet has no ${needed}`);
    const [{ owner }] = await signer.getAccounts();
    const walletAgent = await SignerAgent.create({ signer, account: owner, agent });
    await buyByCall({
      tollkeeper: tollkeeperFor(walletAgent),
      owner,
      canister: config.canister,
      path: config.path,
      offer,
      approve: () => approve(owner, walletAgent),
      show: (bytes) => (element("content").textContent = new TextDecoder().decode(bytes)),
    });
  } catch (error) {
    element("problem").textContent = error instanceof Error ? error.message : String(error);
  } finally {
    await signer.closeChannel().catch(() => undefined);
    element("buy").disabled = false;
  }
});
