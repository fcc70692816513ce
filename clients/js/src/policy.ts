/** The order in which a payer takes offers: by the user's order of ledgers, the cheapest of a ledger first. */

/** Sorts offers; ledgers that the user does not name come last, in their seller's order. */
export function inOrder<T extends { asset: string; amount: string }>(assets: readonly string[], offers: readonly T[]): T[] {
  const order = [...new Set([...assets, ...offers.map(({ asset }) => asset)])];
  return [...offers].sort((a, b) => {
    const ledgers = order.indexOf(a.asset) - order.indexOf(b.asset);
    if (ledgers !== 0) return ledgers;
    const [first, second] = [BigInt(a.amount), BigInt(b.amount)];
    return first === second ? 0 : first < second ? -1 : 1;
  });
}
