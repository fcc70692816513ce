/**
 * A purchase by the method `pay`. Its arguments are stored before the call, and while its end is not known the same
 * arguments are sent again, after a reload and in other tabs, too: one purchase is paid once.
 */
import { Principal } from "@icp-sdk/core/principal";

/** How long after its last moment a call may still be on its way, in milliseconds: 5 minutes, and clocks that differ. */
const ON_THE_WAY_MS = 360_000;
/** The transfer must not lie in the future of the ledger, whose clock may be behind. */
const CLOCK_SKEW_MS = 30_000;
/** The only refusal that names another payment, which may have moved money. */
const ID_USED = "invalid_exact_icp_nonce_used";

const shown = (_, value) => (typeof value === "bigint" ? value.toString() : value);

/**
 * Buys `path` for the caller of `tollkeeper`, on the terms of `offer` (of `quote`). `approve` runs before a purchase that
 * is not recorded yet; `show` gets the bytes that were bought.
 */
export function buyByCall({ tollkeeper, owner, canister, path, offer, approve, show }) {
  const key = `tollkeeper ${canister} ${owner.toText()} ${path}`;
  // One at a time in all tabs of this origin.
  return navigator.locks.request(key, async () => {
    let purchase = JSON.parse(localStorage.getItem(key));
    if (purchase === null) {
      await approve();
      const timeout = offer.max_timeout_seconds * 1_000;
      const created = Date.now() - Math.min(CLOCK_SKEW_MS, timeout / 2);
      purchase = {
        id: [...crypto.getRandomValues(new Uint8Array(32))],
        ledger: offer.ledger.toText(),
        amount: offer.amount,
        fee: offer.fee,
        pay_to: { owner: offer.pay_to.owner.toText(), subaccount: offer.pay_to.subaccount.map((bytes) => [...bytes]) },
        created,
        ends: created + timeout,
        calls: 0,
      };
    }
    purchase.calls += 1;
    localStorage.setItem(key, JSON.stringify(purchase, shown));
    const answer = await tollkeeper.pay(argumentsOf(purchase, path));
    if ("Ok" in answer) {
      await show(answer.Ok.body);
      return localStorage.removeItem(key);
    }
    if (isOver(answer.Err, purchase)) localStorage.removeItem(key);
    const [[name, what]] = Object.entries(answer.Err);
    throw new Error(`${name}: ${JSON.stringify(what, shown)}`);
  });
}

function argumentsOf({ id, ledger, amount, fee, pay_to, created }, path) {
  const principal = (text) => Principal.fromText(text);
  return {
    id: Uint8Array.from(id),
    method: "GET",
    path,
    ledger: principal(ledger),
    amount: BigInt(amount),
    fee: BigInt(fee),
    pay_to: { owner: principal(pay_to.owner), subaccount: pay_to.subaccount.map((bytes) => Uint8Array.from(bytes)) },
    from_subaccount: [],
    created_at_time: BigInt(created) * 1_000_000n,
  };
}

/** Whether an error ends the purchase, so that another one may be made. */
function isOver(error, { calls, ends }) {
  if ("Failed" in error || "Duplicate" in error) return true;
  if (!("Refused" in error) || error.Refused.code === ID_USED) return "InvalidArgument" in error || "AnonymousCaller" in error;
  // An earlier call could still arrive, as long as it would be in time.
  return calls === 1 || Date.now() > ends + ON_THE_WAY_MS;
}
