// A page on another origin pays with the JavaScript client in a real browser: real preflights, real CORS. Part of `clients-test`.
// TOLLKEEPER_BROWSER or the PATH names a Chromium (Debian: chromium-headless-shell).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { PayerLedger } from "tollkeeper-x402";
import { browse, browser, bundle, serve } from "./browser.mjs";
import * as idl from "./idl.mjs";
import { actor, agentFor, keyIn, ok } from "./replica.mjs";

const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
// The answer to the first payment is lost and the page reloads; then two frames, as two tabs would, buy the same thing at once.
const PAGE = `
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentResponseHeader } from "@x402/core/http";
import { ExactIcpScheme, resendingFetch } from "tollkeeper-x402";

const { url, secret, ways, host, rootKey } = await (await fetch("/task")).json();
const identity = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(secret));
const agent = ways.includes("icrc1") && (await HttpAgent.create({ identity, host, rootKey: Uint8Array.from(rootKey) }));
const scheme = new ExactIcpScheme(identity, { ways, agent });
const payWith = (inner) => wrapFetchWithPayment(resendingFetch(inner, { attempts: 1, ways }), new x402Client().register("icp:*", scheme));
const tell = (told) => fetch("/told", { method: "POST", body: JSON.stringify(told) });
const lossy = async (request) => {
  const answer = await fetch(request);
  if (request.headers.has("PAYMENT-SIGNATURE")) throw new TypeError("lost");
  return answer;
};
const bought = async (to, inner = fetch.bind(window)) => {
  const paid = await payWith(inner)(to);
  return { status: paid.status, text: await paid.text(), settled: decodePaymentResponseHeader(paid.headers.get("PAYMENT-RESPONSE")) };
};
const told = { origin: location.origin };
try {
  if (location.pathname === "/frame") {
    // Nobody pays before both have asked.
    const go = new Promise((resolve) => addEventListener("message", resolve));
    const inner = async (request) => {
      if (request.headers.has("PAYMENT-SIGNATURE")) await go;
      else parent.postMessage("asked", "*");
      return fetch(request);
    };
    parent.postMessage(await bought(url + "&frames", inner), "*");
  } else if (sessionStorage.lost === undefined) {
    const unpaid = await fetch(url);
    sessionStorage.unpaid = unpaid.status;
    sessionStorage.offersReadable = unpaid.headers.get("PAYMENT-REQUIRED") !== null;
    sessionStorage.lost = await payWith(lossy)(url).then(() => "not lost", (error) => error.name);
    location.reload();
  } else {
    Object.assign(told, { lost: sessionStorage.lost, unpaid: sessionStorage.unpaid, offersReadable: sessionStorage.offersReadable });
    told.unresolved = (await scheme.unresolved()).length;
    Object.assign(told, await bought(url));
    const [asked, frames] = [[], []];
    const both = new Promise((resolve) => addEventListener("message", ({ data, source }) => {
      if (data !== "asked") return void (frames.push(data) === 2 && resolve());
      if (asked.push(source) === 2) for (const frame of asked) frame.postMessage("go", "*");
    }));
    for (let n = 0; n < 2; n++) document.body.append(Object.assign(document.createElement("iframe"), { src: "/frame" }));
    await both;
    told.frames = frames.map(({ status }) => status);
    told.left = (await scheme.unresolved()).length;
    await tell(told);
  }
} catch (error) {
  told.error = String(error && error.stack || error);
  await tell(told);
}
`;

/** Serves the page and its script; resolves with what the page tells. */
async function visit(task) {
  const script = await bundle({ stdin: { contents: PAGE, resolveDir: import.meta.dirname } });
  const html = '<!doctype html><title>buyer</title><body></body><script type="module" src="/page.js"></script>';
  const page = await serve({ "/task": () => task, "/page.js": script, "/": html, "/frame": html });
  return browse(page.url("127.0.0.1"), page.told, page.close);
}

describe("a page on another origin", { skip: browser ? false : "no Chromium here" }, () => {
  for (const way of ["icrc2", "icrc1"]) it(`reads the offers, pays once by ${way} across a reload and in two frames, and reads the receipt`, async () => {
    const identity = Ed25519KeyIdentity.generate();
    const network = { replica: demo.replica, root_key: demo.root_key };
    const books = actor(await agentFor(network, keyIn(demo.payer_pem)), demo.ledgers.ckUSDC, idl.transfer);
    const to = { owner: identity.getPrincipal(), subaccount: [] };
    ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 200_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
    const ledger = new PayerLedger(await agentFor(network, identity), demo.ledgers.ckUSDC);
    if (way === "icrc2") await ledger.approve(demo.canister, 100_000n);
    const before = await ledger.balance();

    const secret = [...new Uint8Array(identity.getKeyPair().secretKey)];
    const url = new URL(`/report?canisterId=${demo.canister}`, demo.gateway).href;
    const told = await visit({ url, secret, ways: [way], host: demo.replica, rootKey: [...Buffer.from(demo.root_key, "hex")] });
    assert.equal(told.error, undefined);
    assert.notEqual(told.origin, new URL(url).origin);
    assert.deepEqual([told.unpaid, told.offersReadable, told.lost, told.unresolved], ["402", "true", "PaymentUnresolved", 1]);
    assert.equal(told.status, 200);
    assert.match(told.text, /Market report/);
    assert.equal(told.settled.payer, identity.getPrincipal().toText());
    assert.deepEqual([told.frames, told.left], [[200, 200], 0]);
    // One purchase of the page, one of the frames.
    assert.equal(before - (await ledger.balance()), 2n * (10_000n + 10_000n));
  });
});
