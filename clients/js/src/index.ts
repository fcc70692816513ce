export { type Account, accountText } from "./account.js";
export type { AgentOptions } from "./agents.js";
export { type DefaultAsset, findDefaultAsset } from "./assets.js";
export {
  type Accepted,
  type AuthorizationFields,
  type ExactIcrc2Payload,
  type PayloadDelegation,
  paymentId,
  signAuthorization,
  signedMessage,
  type Terms,
  termsOf,
} from "./authorization.js";
export { browserStore } from "./browser-store.js";
export { type Cancellation, cancelPayment } from "./cancel.js";
export { OfferRefused, PaymentUnresolved } from "./errors.js";
export { type ApproveOptions, type EnsureOptions, PayerLedger } from "./ledger.js";
export { checkInvoice, invoiceAccount, type InvoiceExpectations, type InvoiceToPay } from "./invoice.js";
export { MAINNET, networkId } from "./network.js";
export { offerId, routeMatches, type Way } from "./offer.js";
export type { ResendOptions } from "./options.js";
export { payByTransfer } from "./pay-by-transfer.js";
export { type SignedReceipt, verifySignedReceipt } from "./receipt-jws.js";
export { fetchReceipt, type ReceiptDetails, type ReceiptFields, type VerifiedReceipt, verifyReceipt, type VerifyOptions } from "./receipt-proof.js";
export type { OwnTransfer, PaymentRecord, PaymentState, RecordedRequest, TransferPayload } from "./record.js";
export { withPaymentIdentifier } from "./request.js";
export { resendingFetch } from "./resend.js";
export type { Outcome } from "./resolve.js";
export { ExactIcpScheme } from "./scheme.js";
export type { ExactIcpOptions } from "./scheme-options.js";
export { canisterOfUrl } from "./serving.js";
export { defaultStore, MemoryStore, type PaymentStore } from "./store.js";
export type { UnresolvedPayment } from "./summary.js";
export {
  type ExactIcrc1Payload,
  transferCommitment,
  type TransferEnvelope,
  transferPaymentId,
  transferProblem,
  transferProof,
  type TransferProof,
  type TransferTerms,
  transferTermsOf,
} from "./transfer.js";
