// The demo's shop: two ledgers under their mainnet ids, the canister, three routes with content.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Principal } from "@icp-sdk/core/principal";
import * as idl from "./idl.mjs";
import { actor, agentFor, install, newIdentity, ok } from "./replica.mjs";

/** First id of the application subnet. */
export const CANISTER = "mxqf3-4h777-77775-qaaaa-cai";
export const LEDGERS = {
  ckUSDC: { id: "xevnm-gaaaa-aaaar-qafnq-cai", name: "Chain-key USDC", decimals: 6, fee: 10_000n, balance: 25_000_000n },
  ICP: { id: "ryjl3-tyaaa-aaaaa-aaaba-cai", name: "Internet Computer", decimals: 8, fee: 10_000n, balance: 1_000_000_000n },
};
const CONTENT_CHUNK = 1_000_000;

const ROUTES = [
  {
    path: "/report",
    description: "Today's market report",
    mime_type: "application/json",
    prices: { ckUSDC: 10_000n },
    content: JSON.stringify({ title: "Market report", date: "2026-11-22", icp_usd: "7.41", volume_24h_usd: "182000000" }) + "\n",
  },
  {
    path: "/dataset",
    description: "A year of hourly prices",
    mime_type: "text/csv",
    prices: { ckUSDC: 50_000n, ICP: 700_000n },
    payment_identifier: { Optional: null },
    content: ["hour,icp_usd", ...Array.from({ length: 8760 }, (_, hour) => `${hour},${(6 + Math.sin(hour / 500)).toFixed(4)}`), ""].join("\n"),
  },
  { path: "/", description: "What is sold here", mime_type: "text/plain", prices: {}, content: "GET /report for 0.01 ckUSDC, GET /dataset for 0.05 ckUSDC or 0.007 ICP.\n" },
];

/** Sets everything up on a running network; returns identities and ids. */
export async function openShop(network, { canisterWasm, keysFolder, ledgerWasm }) {
  const operator = newIdentity(join(keysFolder, "operator.pem"));
  const payer = newIdentity(join(keysFolder, "payer.pem"));
  const merchant = newIdentity(join(keysFolder, "merchant.pem"));
  const agent = await agentFor(network, operator);
  const account = (identity) => ({ owner: identity.getPrincipal(), subaccount: [] });

  await Promise.all(
    Object.entries(LEDGERS).map(([symbol, { id, name, decimals, fee, balance }]) =>
      install(agent, id, ledgerWasm, idl.ledgerInit, {
        Init: {
          minting_account: account(operator),
          transfer_fee: fee,
          decimals: [decimals],
          token_symbol: symbol,
          token_name: name,
          metadata: [],
          initial_balances: [[account(payer), balance]],
          feature_flags: [{ icrc2: true }],
          archive_options: { num_blocks_to_archive: 1000n, trigger_threshold: 2000n, controller_id: operator.getPrincipal() },
        },
      }),
    ),
  );
  await install(agent, CANISTER, canisterWasm, idl.tollkeeperInit, [
    { Init: { network: [], pay_to: [account(merchant)], operators: [], limits: [] } },
  ]);
  const tollkeeper = actor(agent, CANISTER, idl.tollkeeper);
  for (const { id } of Object.values(LEDGERS)) ok("ledger_add", await tollkeeper.ledger_add(Principal.fromText(id)));
  for (const route of ROUTES) await publish(tollkeeper, route);
  return { operator, payer, merchant, tollkeeper };
}

/** Lets the first route be paid by a transfer of the client's own, too. */
export async function offerTransfers(tollkeeper) {
  ok("route_put", await tollkeeper.route_put({ ...routeArgs(ROUTES[0]), transfers: [true] }));
}

/** Sells the first route by invoice, too. */
export async function offerInvoices(tollkeeper) {
  ok("route_put", await tollkeeper.route_put({ ...routeArgs(ROUTES[0]), transfers: [true], invoices: [true] }));
}

function routeArgs({ path, description, mime_type, prices, payment_identifier }) {
  return {
    method: "GET",
    path,
    description,
    mime_type,
    prices: Object.entries(prices).map(([symbol, amount]) => ({ ledger: Principal.fromText(LEDGERS[symbol].id), amount })),
    pay_to: [],
    max_timeout_seconds: [],
    on_sale: true,
    payment_identifier: payment_identifier ? [payment_identifier] : [],
    transfers: [],
    invoices: [],
    forward: [],
  };
}

/** Puts a route, and its content. */
export async function publish(tollkeeper, route) {
  const key = { method: "GET", path: route.path };
  ok("route_put", await tollkeeper.route_put(routeArgs(route)));
  const content = new TextEncoder().encode(route.content);
  const sha256 = new Uint8Array(createHash("sha256").update(content).digest());
  const upload = ok("content_begin", await tollkeeper.content_begin({ ...key, bytes: BigInt(content.length), sha256 }));
  for (let offset = 0; offset < content.length; offset += CONTENT_CHUNK) {
    const bytes = content.subarray(offset, offset + CONTENT_CHUNK);
    ok("content_chunk", await tollkeeper.content_chunk({ upload, offset: BigInt(offset), bytes }));
  }
  ok("content_commit", await tollkeeper.content_commit({ upload }));
}

/** What a visitor may ask for, as absolute URLs. */
export function routeList(gateway) {
  return ROUTES.map(({ path }) => ({ method: "GET", url: new URL(path, gateway).href }));
}
