/** Errors that reach the user. None of them carries a header value, a signature or a body. */

/** A refusal to sign or to send: nothing left this process, and nothing can be charged because of this call. */
export class OfferRefused extends Error {
  override readonly name = "OfferRefused";
}

/**
 * A payment was sent and its outcome is not proven. The same request made again sends the same authorization;
 * `scheme.resolve(paymentId)` asks the canister and the ledger.
 */
export class PaymentUnresolved extends Error {
  override readonly name = "PaymentUnresolved";
  /** 64 hexadecimal digits. */
  readonly paymentId: string;

  constructor(paymentId: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.paymentId = paymentId;
  }
}
