//! Machine-readable reasons (`errorReason`, and `error` of a 402), section 8.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The reason why a payment was not accepted. The text form is the wire form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of verification.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code in `errorReason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The code with this text, if there is one.
            pub fn from_text(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// Step 1: the header or its payload cannot be decoded, or breaks a size limit.
    InvalidPayload = "invalid_exact_icp_payload",
    /// Step 2: `x402Version` is not 2 (a code of the x402 core specification).
    InvalidX402Version = "invalid_x402_version",
    /// Step 2: the scheme is not one this canister settles (a code of the x402 core specification).
    UnsupportedScheme = "unsupported_scheme",
    /// Step 2: another network, for instance a mainnet authorization on a local replica.
    NetworkMismatch = "invalid_exact_icp_network_mismatch",
    /// Step 2: `assetTransferMethod` is not one this route offers.
    Method = "invalid_exact_icp_method",
    /// Step 3: the `offer` id is not that of this route at its present price.
    OfferMismatch = "invalid_exact_icp_offer_mismatch",
    /// Step 3: `asset` is not a ledger this route sells for.
    AssetMismatch = "invalid_exact_icp_asset_mismatch",
    /// Step 3: `amount` is not the price.
    AmountMismatch = "invalid_exact_icp_amount_mismatch",
    /// Step 3: `payTo` is not the merchant's account.
    RecipientMismatch = "invalid_exact_icp_recipient_mismatch",
    /// Step 3: `spender` is not this canister.
    SpenderMismatch = "invalid_exact_icp_spender_mismatch",
    /// Step 4: `validAfter` is in the future.
    NotYetValid = "invalid_exact_icp_not_yet_valid",
    /// Step 4: `validBefore` has passed.
    Expired = "invalid_exact_icp_expired",
    /// Step 4: the authorization is valid for longer than the offer allows.
    WindowTooLong = "invalid_exact_icp_window_too_long",
    /// Step 5: this payer used the nonce for another payment.
    NonceUsed = "invalid_exact_icp_nonce_used",
    /// Step 5: the payer cancelled the authorization.
    Cancelled = "invalid_exact_icp_cancelled",
    /// Step 7: the signature, the key or a delegation is invalid.
    Signature = "invalid_exact_icp_signature",
    /// Step 7: `from` does not belong to the key that signed.
    PayerMismatch = "invalid_exact_icp_payer_mismatch",
    /// `icrc1`: the block is not the transfer that the proof describes.
    Transfer = "invalid_exact_icp_transfer",
    /// `icrc1`: the block is older than the proof age that the offer allows.
    ProofTooOld = "invalid_exact_icp_proof_too_old",
    /// Settlement: the payer's balance does not cover amount and fee.
    InsufficientFunds = "insufficient_funds",
    /// Settlement: the payer's allowance does not cover amount and fee, or has expired.
    InsufficientAllowance = "insufficient_allowance",
    /// Settlement: the outcome is not known yet; repeat the same request, never a new payment.
    SettlementPending = "settlement_pending",
    /// The same payment was already used for another request.
    DuplicateSettlement = "duplicate_settlement",
    /// Steps 6 to 8: the canister, the route or the ledger accepts no such payment at present. Settlement: the ledger
    /// refuses or cannot be reached. Provably nothing moved.
    LedgerUnavailable = "ledger_unavailable",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_read_back() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
        }
        assert_eq!(Code::from_text("invalid_exact_icp"), None);
    }
}
