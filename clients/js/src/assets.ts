/**
 * Ledgers whose token is pegged to the US dollar. Stock clients cap a payment in dollars, so only a
 * token that is worth a dollar may be declared; every other ledger is an explicit opt-in of the payer.
 */
export interface DefaultAsset {
  asset: string;
  decimals: number;
  symbol: string;
}

/** The ledgers that are paid with by default, in this order. */
export const USD_PEGGED: readonly DefaultAsset[] = [
  { asset: "xevnm-gaaaa-aaaar-qafnq-cai", decimals: 6, symbol: "ckUSDC" },
  { asset: "cngnf-vqaaa-aaaar-qag4q-cai", decimals: 6, symbol: "ckUSDT" },
];

/** One dollar in the units of both. */
const ONE_DOLLAR = 1_000_000n;

/**
 * The declaration behind a stock client's dollar cap. Local networks install test tokens under the
 * mainnet ids, and a signature never crosses networks, so the same ids hold on every `icp:` network.
 */
export function findDefaultAsset(asset: string, network: string): DefaultAsset | undefined {
  if (!network.startsWith("icp:")) return undefined;
  return USD_PEGGED.find((known) => known.asset === asset);
}

/** The most that is paid at a time in a ledger, if the user says nothing: one dollar in ckUSDC and ckUSDT. */
export function defaultCap(asset: string): bigint | undefined {
  return USD_PEGGED.some((known) => known.asset === asset) ? ONE_DOLLAR : undefined;
}
