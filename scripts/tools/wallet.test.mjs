// The wallet page of examples/page in a real browser, and a page on the wallet's side of OISY that plays the wallet: it
// fetches consent messages, shows them, and signs what its user approves.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { PayerLedger } from "tollkeeper-x402";
import { browse, browser, bundle, serve } from "./browser.mjs";
import * as idl from "./idl.mjs";
import { actor, agentFor, keyIn, ok } from "./replica.mjs";

const FOLDER = fileURLToPath(new URL("../../examples/page", import.meta.url));
const WALLET_FOLDER = fileURLToPath(new URL("wallet", import.meta.url));
const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };

const WALLET = `
import { Signer } from "@dfinity/oisy-wallet-signer/signer";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";

const { secret, host } = await (await fetch("/user")).json();
const owner = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(secret));
const tell = (what) => fetch("/seen", { method: "POST", body: JSON.stringify(what, (_, value) => (typeof value === "bigint" ? String(value) : value)) });
const signer = Signer.init({ owner, host });
// The user does not agree to the fourth message, which is that of \`pay\` in the second purchase.
signer.register({
  method: "icrc25_request_permissions",
  prompt: ({ requestedScopes, confirm }) => confirm(requestedScopes.map(({ scope }) => ({ scope, state: "granted" }))),
});
signer.register({ method: "icrc27_accounts", prompt: ({ approve }) => approve([{ owner: owner.getPrincipal().toText() }]) });
signer.register({
  method: "icrc21_call_consent_message",
  prompt: async (payload) => {
    if (payload.status === "loading") return;
    await tell(payload.status === "error" ? { error: String(payload.details ?? "no consent message") } : payload.consentInfo);
    if (payload.status === "result") localStorage.messages = Number(localStorage.messages ?? 0) + 1;
    if (localStorage.messages === "4") payload.reject();
    else if (payload.status === "result") payload.approve();
  },
});
signer.register({ method: "icrc49_call_canister", prompt: ({ status, details }) => void (status === "error" && tell({ error: String(details) })) });
`;

const USER = `
const frame = document.querySelector("iframe");
const element = (id) => frame.contentDocument?.getElementById(id);
const until = async (what, happened) => {
  const end = Date.now() + 60_000;
  while (!happened()) {
    if (Date.now() > end) throw new Error(what + " never came");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const told = { contents: [], left: [] };
try {
  await until("the button", () => element("buy") && !element("buy").disabled);
  for (let time = 0; time < 3; time++) {
    element("content").textContent = "";
    element("buy").click();
    await until("an answer", () => !element("buy").disabled);
    told.contents.push(element("content").textContent || element("problem").textContent);
    told.left.push(Object.keys(localStorage).filter((key) => key.startsWith("tollkeeper ")).length);
  }
} catch (error) {
  told.error = String(error?.stack ?? error);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
`;

describe("a wallet on the other side", { skip: browser ? false : "no Chromium here" }, () => {
  it("shows what approve and pay do, and the page buys with both, once also if its user does not agree at first", async () => {
    const user = Ed25519KeyIdentity.generate();
    const books = actor(await agentFor(network, keyIn(demo.payer_pem)), demo.ledgers.ckUSDC, idl.transfer);
    const to = { owner: user.getPrincipal(), subaccount: [] };
    ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 100_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
    const seen = [];
    const wallet = await serve({
      "/": '<!doctype html><title>wallet</title><script type="module" src="/wallet.js"></script>',
      "/wallet.js": await bundle({ stdin: { contents: WALLET, resolveDir: WALLET_FOLDER } }),
      "/user": () => ({ secret: [...new Uint8Array(user.getKeyPair().secretKey)], host: demo.replica }),
      "/seen": (what) => void seen.push(what),
    });
    const config = { canister: demo.canister, path: "/report", wallet: wallet.url("localhost"), host: demo.replica, rootKey: demo.root_key };
    const page = await serve({
      "/": readFileSync(`${FOLDER}/wallet.html`, "utf8"),
      "/wallet.js": await bundle({ entryPoints: [`${FOLDER}/wallet.mjs`] }),
      "/config.json": () => config,
      "/driver": '<!doctype html><title>user</title><iframe src="/" width="800" height="600"></iframe><script type="module" src="/user.js"></script>',
      "/user.js": new TextEncoder().encode(USER),
    });
    const told = await browse(`${page.url("127.0.0.1")}driver`, page.told, () => (page.close(), wallet.close()));
    assert.equal(told.error, undefined, JSON.stringify(seen));
    const messages = seen.map(({ Ok, error }) => Ok?.consent_message.GenericDisplayMessage ?? error);
    const titles = ["# Approve spending", "# Buy GET /report", "# Approve spending", "# Buy GET /report", "# Buy GET /report"];
    assert.deepEqual(messages.map((message) => message.split("\n")[0]), titles);
    for (const words of [`**Approve to spender:**\n\`${demo.canister}\``, "**Requested allowance:** `0.02 ckUSDC`"]) assert.ok(messages[0].includes(words), messages[0]);
    for (const words of ["**Amount:**\n`0.01 ckUSDC`", `**From:**\n\`${user.getPrincipal()}\``, `**Seller:**\n\`${demo.canister}\``])
      assert.ok(messages[1].includes(words), messages[1]);
    // What the user did not agree to stays recorded, and the next click asks for the same.
    assert.equal(messages[3], messages[4]);
    assert.notEqual(messages[1], messages[3]);
    for (const at of [0, 2]) assert.match(told.contents[at], /Market report/);
    assert.doesNotMatch(told.contents[1], /Market report/);
    assert.deepEqual(told.left, [0, 1, 0]);
    // Two purchases, each with an approval: price, and the fees of transfer and approval.
    const ledger = new PayerLedger(await agentFor(network, user), demo.ledgers.ckUSDC);
    assert.equal(await ledger.balance(), 100_000n - 2n * 30_000n);
  });
});
