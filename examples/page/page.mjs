/**
 * Example: a page that sells what a Tollkeeper sells, to users of Internet Identity.
 *
 * The user signs in and gets an account, whose tokens the page may spend: the delegation is for the Tollkeeper and the
 * ledger only. The page approves one purchase at a time. It then buys by the method `pay`, or over HTTP with the stock
 * x402 client. `config.json` beside the page says what is sold where.
 */
import { AuthClient } from "@icp-sdk/auth/client";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { accountText, ExactIcpScheme, PayerLedger, resendingFetch } from "tollkeeper-x402";
import { idlFactory } from "../../scripts/tools/tollkeeper.did.mjs";
import { buyByCall } from "./by-call.mjs";

/**
 * `canister`, `path`, `url` (of the resource, over HTTP); elsewhere than on mainnet also `identityProvider`, `host` and
 * `rootKey` (hexadecimal).
 */
const config = await (await fetch("/config.json")).json();
const element = (id) => document.getElementById(id);
/** The client of Internet Identity opens its window in the click, so it has to be there before. */
const auth = new AuthClient(config.identityProvider ? { identityProvider: config.identityProvider } : {});

const agentOf = (identity) => {
  const key = config.rootKey ? { rootKey: Uint8Array.from(config.rootKey.match(/../g), (pair) => parseInt(pair, 16)) } : {};
  return HttpAgent.create({ host: config.host ?? "https://icp-api.io", ...key, ...(identity ? { identity } : {}) });
};
const tollkeeperFor = (agent) => Actor.createActor(idlFactory, { agent, canisterId: config.canister });

/** What the resource costs now: the first offer, in the tokens of its ledger. */
const [quote] = await tollkeeperFor(await agentOf()).quote({ method: "GET", path: config.path });
const [offer] = quote.offers;
const ledgerId = offer.ledger.toText();
const inTokens = (units) => `${Number(units) / 10 ** offer.decimals} ${offer.symbol}`;
element("price").value = `${inTokens(offer.amount)}, and ${inTokens(offer.fee)} to the ledger`;

/** Shows what goes wrong, and lets nobody click twice. */
const whenClicked = (id, act) => {
  element(id).disabled = false;
  element(id).addEventListener("click", async () => {
    element("problem").textContent = "";
    element(id).disabled = true;
    try {
      await act();
    } catch (error) {
      element("problem").textContent = error instanceof Error ? error.message : String(error);
    } finally {
      element(id).disabled = false;
    }
  });
};

whenClicked("sign-in", async () => {
  const targets = [config.canister, ledgerId].map((id) => Principal.fromText(id));
  await open(await auth.signIn({ targets }));
});
if (auth.isAuthenticated()) await open(await auth.getIdentity());

async function open(identity) {
  const agent = await agentOf(identity);
  const ledger = new PayerLedger(agent, ledgerId);
  const owner = identity.getPrincipal();
  element("account").textContent = accountText(owner);
  const refresh = async () => void (element("balance").value = inTokens(await ledger.balance()));
  await refresh();
  whenClicked("refresh", refresh);
  // For this purchase alone, and for an hour.
  const approve = () => ledger.ensureAllowance(config.canister, offer.amount + offer.fee, { maxAmount: offer.amount + offer.fee });
  const show = (bytes) => (element("content").textContent = new TextDecoder().decode(bytes));

  whenClicked("buy", async () => {
    const tollkeeper = tollkeeperFor(agent);
    await buyByCall({ tollkeeper, owner, canister: config.canister, path: config.path, offer, approve, show });
    await refresh();
  });

  const scheme = new ExactIcpScheme(identity, { agent, spenders: [config.canister], maxAmounts: { [ledgerId]: offer.amount } });
  const pay = wrapFetchWithPayment(resendingFetch(fetch.bind(window)), new x402Client().register("icp:*", scheme));
  whenClicked("buy-over-http", async () => {
    await approve();
    const response = await pay(config.url);
    if (!response.ok) throw new Error(`not bought: status ${response.status}`);
    show(await response.arrayBuffer());
    await refresh();
  });
  element("sign-in").hidden = true;
  element("account-of").hidden = false;
}
