export { accountText } from "./account.js";
export { type DefaultAsset, findDefaultAsset } from "./assets.js";
export {
  type AuthorizationFields,
  type ExactIcrc2Payload,
  type PayloadDelegation,
  paymentId,
  signAuthorization,
  signedMessage,
  type Terms,
} from "./authorization.js";
export { cancelPayment } from "./cancel.js";
export { PayerLedger } from "./ledger.js";
export { resendingFetch, type ResendOptions } from "./resend.js";
export { ExactIcpScheme, type ExactIcpOptions, OfferRefused } from "./scheme.js";
