// The page of examples/page in a real browser, with the canister of the demo that `clients-test` started. Another page,
// of another origin, plays Internet Identity: it signs a delegation for the targets that the page asks for.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { PayerLedger } from "tollkeeper-x402";
import { browse, browser, bundle, serve } from "./browser.mjs";
import * as idl from "./idl.mjs";
import { actor, agentFor, keyIn, ok } from "./replica.mjs";

const FOLDER = fileURLToPath(new URL("../../examples/page", import.meta.url));
const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };

/** Internet Identity, as far as a page sees it: ICRC-29 and ICRC-34 over messages between windows. */
const PROVIDER = `
import { DelegationChain, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const user = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(await (await fetch("/user")).json()));
addEventListener("message", async ({ data, source, origin }) => {
  const answer = (result) => source.postMessage({ jsonrpc: "2.0", id: data.id, result }, origin);
  if (data.method === "icrc29_status") return answer("ready");
  if (data.method !== "icrc34_delegation") return;
  const { publicKey, targets, maxTimeToLive } = data.params;
  await fetch("/asked", { method: "POST", body: JSON.stringify({ targets, origin }) });
  const session = { toDer: () => bytes(publicKey) };
  const ends = new Date(Date.now() + Number(BigInt(maxTimeToLive) / 1_000_000n));
  const chain = await DelegationChain.create(user, session, ends, { targets: targets.map((id) => Principal.fromText(id)) });
  const signerDelegation = chain.delegations.map(({ delegation, signature }) => ({
    delegation: { pubkey: base64(delegation.pubkey), expiration: delegation.expiration.toString(), targets },
    signature: base64(signature),
  }));
  answer({ publicKey: base64(user.getPublicKey().toDer()), signerDelegation });
});
`;

// What a user does, to the page in a frame.
const USER = `
const frame = document.querySelector("iframe");
const element = (id) => frame.contentDocument?.getElementById(id);
const until = async (what, happened) => {
  const end = Date.now() + 40_000;
  while (!happened()) {
    const problem = element("problem")?.textContent;
    if (problem) throw new Error(what + ": " + problem);
    if (Date.now() > end) throw new Error(what + " never came");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const click = async (id) => {
  await until(id, () => element(id) && !element(id).disabled && element(id).offsetParent !== null);
  element(id).click();
};
const bought = async (id) => {
  element("content").textContent = "";
  await click(id);
  await until("the content", () => element("content").textContent !== "" && !element(id).disabled);
  return element("content").textContent;
};
const reload = async () => {
  const before = frame.contentDocument;
  frame.contentWindow.location.reload();
  await until("another page", () => frame.contentDocument !== before && element("account-of") && !element("account-of").hidden);
};
const recorded = () => Object.keys(localStorage).filter((key) => key.startsWith("tollkeeper ")).length;
const told = {};
try {
  await click("sign-in");
  await until("the account", () => element("account-of") && !element("account-of").hidden);
  Object.assign(told, { account: element("account").textContent, price: element("price").value, empty: element("balance").value });
  await fetch("/fund", { method: "POST", body: JSON.stringify(told.account) });
  await click("refresh");
  await until("the money", () => element("balance").value !== told.empty);
  told.funded = element("balance").value;
  told.byCall = await bought("buy");
  told.recorded = recorded();
  // The session outlives a reload.
  await reload();
  told.overHttp = await bought("buy-over-http");
  // The page goes away before it has forgotten the purchase, paid or not, and the next one goes on with it.
  frame.contentWindow.Storage.prototype.removeItem = () => {};
  await click("buy");
  await until("the record", () => recorded() === 1);
  await reload();
  told.again = await bought("buy");
  told.left = recorded();
} catch (error) {
  told.error = String(error?.stack ?? error);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
`;

describe("the page of examples/page", { skip: browser ? false : "no Chromium here" }, () => {
  it("signs in, shows an account, approves and pays by call and over HTTP, once also across a reload", async () => {
    const user = Ed25519KeyIdentity.generate();
    const asked = [];
    const provider = await serve({
      "/": '<!doctype html><title>identity</title><script type="module" src="/provider.js"></script>',
      "/provider.js": await bundle({ stdin: { contents: PROVIDER, resolveDir: FOLDER } }),
      "/user": () => [...new Uint8Array(user.getKeyPair().secretKey)],
      "/asked": (what) => void asked.push(what),
    });
    const config = {
      canister: demo.canister,
      path: "/report",
      url: new URL(`/report?canisterId=${demo.canister}`, demo.gateway).href,
      identityProvider: provider.url("localhost"),
      host: demo.replica,
      rootKey: demo.root_key,
    };
    const ledger = new PayerLedger(await agentFor(network, user), demo.ledgers.ckUSDC);
    const page = await serve({
      "/": readFileSync(`${FOLDER}/index.html`, "utf8"),
      "/page.js": await bundle({ entryPoints: [`${FOLDER}/page.mjs`] }),
      "/config.json": () => config,
      "/driver": '<!doctype html><title>user</title><iframe src="/" width="800" height="600"></iframe><script type="module" src="/user.js"></script>',
      "/user.js": new TextEncoder().encode(USER),
      "/fund": async (account) => {
        const books = actor(await agentFor(network, keyIn(demo.payer_pem)), demo.ledgers.ckUSDC, idl.transfer);
        const to = { owner: Principal.fromText(account), subaccount: [] };
        ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 100_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
      },
    });
    const told = await browse(`${page.url("127.0.0.1")}driver`, page.told, () => (page.close(), provider.close()));
    assert.equal(told.error, undefined);
    assert.equal(told.account, user.getPrincipal().toText());
    assert.deepEqual(asked, [{ targets: [demo.canister, demo.ledgers.ckUSDC], origin: new URL(page.url("127.0.0.1")).origin }]);
    assert.deepEqual([told.price, told.empty, told.funded], ["0.01 ckUSDC, and 0.01 ckUSDC to the ledger", "0 ckUSDC", "0.1 ckUSDC"]);
    for (const content of [told.byCall, told.overHttp, told.again]) assert.match(content, /Market report/);
    assert.deepEqual([told.recorded, told.left], [0, 0]);
    // Three purchases, each with an approval: price, and the fees of transfer and approval.
    assert.equal(await ledger.balance(), 100_000n - 3n * 30_000n);
    assert.equal(await ledger.allowance(demo.canister), 0n);
  });
});
