//! The reasons why a payment failed, is unknown, or is refunded.

/// The reason why a payment failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// For a reader, at most [`MAX_MESSAGE_BYTES`] long.
    pub message: String,
}

/// The longest message that is kept with a failure or a doubt, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 160;

/// The ways in which a ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The ledger's fee is not the one in the offer.
    FeeChanged,
    /// The balance does not cover amount and fee.
    InsufficientFunds,
    /// The allowance does not cover amount and fee.
    InsufficientAllowance,
    /// The ledger refuses for another reason or cannot be reached.
    LedgerUnavailable,
}

impl FailureKind {
    /// Every kind, in the order of their numbers in storage.
    pub const ALL: [FailureKind; 4] = [
        FailureKind::FeeChanged,
        FailureKind::InsufficientFunds,
        FailureKind::InsufficientAllowance,
        FailureKind::LedgerUnavailable,
    ];

    /// The code that the payer gets.
    pub fn code(self) -> x402_icp::Code {
        match self {
            // The accepted offer is no longer current.
            FailureKind::FeeChanged => x402_icp::Code::OfferMismatch,
            FailureKind::InsufficientFunds => x402_icp::Code::InsufficientFunds,
            FailureKind::InsufficientAllowance => x402_icp::Code::InsufficientAllowance,
            FailureKind::LedgerUnavailable => x402_icp::Code::LedgerUnavailable,
        }
    }
}

/// The reason why the outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The call ended with a reject that proves nothing about the ledger, for instance after the deadline.
    Reject,
    UnreadableReply,
    /// This canister trapped while it handled the answer.
    Trapped,
    /// This canister was upgraded before the answer arrived.
    Upgraded,
    /// A later try was refused; the first may still have been done.
    RetryRefused,
    /// The ledger named a block that existed before the call, or that shows another transfer.
    ImplausibleBlock,
    /// No answer arrived, and none can arrive any more.
    NoAnswer,
    /// A later try was refused because the payer's balance or allowance did not cover it.
    NoFunds,
    /// All tries failed, and no ledger can make the transfer any more: nothing is held for it.
    Lapsed,
    /// The ledger ended the call with an error of its own: it rejected, trapped, or was stopped. It may have acted
    /// before.
    LedgerError,
}

impl Doubt {
    /// Every doubt, in the order of their numbers in storage.
    pub const ALL: [Doubt; 10] = [
        Doubt::Reject,
        Doubt::UnreadableReply,
        Doubt::Trapped,
        Doubt::Upgraded,
        Doubt::RetryRefused,
        Doubt::ImplausibleBlock,
        Doubt::NoAnswer,
        Doubt::NoFunds,
        Doubt::Lapsed,
        Doubt::LedgerError,
    ];

    /// The doubt after a later try was refused with this failure. The failure proves nothing about the first try, which
    /// may be what used the balance or the allowance up.
    pub fn of_refused_retry(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::InsufficientFunds | FailureKind::InsufficientAllowance => Doubt::NoFunds,
            FailureKind::FeeChanged | FailureKind::LedgerUnavailable => Doubt::RetryRefused,
        }
    }

    /// Whether all tries have failed after one that left this doubt. `before`: whether all had failed before it.
    pub fn all_failed(self, before: bool) -> bool {
        match self {
            Doubt::NoFunds | Doubt::Lapsed => true,
            Doubt::RetryRefused | Doubt::LedgerError => before,
            Doubt::Reject
            | Doubt::UnreadableReply
            | Doubt::Trapped
            | Doubt::Upgraded
            | Doubt::ImplausibleBlock
            | Doubt::NoAnswer => false,
        }
    }

    /// Whether the ledger, or the system, refused the last try.
    pub fn is_refusal(self) -> bool {
        matches!(self, Doubt::RetryRefused | Doubt::NoFunds | Doubt::Lapsed)
    }

    /// For a reader.
    pub const fn text(self) -> &'static str {
        match self {
            Doubt::Reject => "the call was rejected without proof that the ledger did nothing",
            Doubt::UnreadableReply => "the ledger's reply could not be read",
            Doubt::Trapped => "this canister trapped while it handled the ledger's answer",
            Doubt::Upgraded => "this canister was upgraded before the ledger answered",
            Doubt::RetryRefused => "the ledger refused a later try of the same transfer",
            Doubt::ImplausibleBlock => "the ledger named a block that cannot be this transfer's",
            Doubt::NoAnswer => "the ledger's answer never arrived",
            Doubt::NoFunds => "the payer's balance or allowance did not cover a later try",
            Doubt::Lapsed => {
                "the ledger refused every try, or ended it with an error, and can no longer make the transfer: nothing is held"
            }
            Doubt::LedgerError => {
                "the ledger ended the call with an error, which does not prove that it did nothing"
            }
        }
    }
}

/// The reason for a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundCause {
    /// The resource was not fetched before the retention was over.
    NotFetched,
    /// The resource cannot be delivered any more.
    NotDeliverable,
    /// A controller decided so.
    Merchant,
    /// The canister that does the work did not do it, or did not say so.
    NotDone,
    /// The payer's transfer pays no present offer.
    PaysNoOffer,
}

impl RefundCause {
    /// Every cause, in the order of their numbers in storage.
    pub const ALL: [RefundCause; 5] = [
        RefundCause::NotFetched,
        RefundCause::NotDeliverable,
        RefundCause::Merchant,
        RefundCause::NotDone,
        RefundCause::PaysNoOffer,
    ];

    /// For a reader.
    pub const fn text(self) -> &'static str {
        match self {
            RefundCause::NotFetched => "the resource was not fetched in time",
            RefundCause::NotDeliverable => "the resource cannot be delivered any more",
            RefundCause::Merchant => "a controller decided so",
            RefundCause::NotDone => "the canister that does the work did not answer with it",
            RefundCause::PaysNoOffer => "the transfer pays no present offer",
        }
    }
}

/// The reason why a due refund has not been made yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundProblem {
    /// It has not been tried yet.
    NotTried,
    /// The ledger was called, and has not answered clearly.
    Unclear,
    /// The account that pays refunds does not hold enough.
    InsufficientFunds,
    /// The ledger refuses for another reason or cannot be reached.
    Refused,
    /// The money went to an account that is neither the canister's nor its `pay_to`: nothing is owed unless a controller
    /// agrees.
    NeedsController,
    /// A controller has decided that the merchant pays it back without the canister: nothing is delivered any more, and
    /// nothing is owed unless a controller agrees after all.
    MerchantPays,
}

impl RefundProblem {
    /// Every problem, in the order of their numbers in storage.
    pub const ALL: [RefundProblem; 6] = [
        RefundProblem::NotTried,
        RefundProblem::Unclear,
        RefundProblem::InsufficientFunds,
        RefundProblem::Refused,
        RefundProblem::NeedsController,
        RefundProblem::MerchantPays,
    ];

    /// The problem of a refund that has just become due: none if it is owed without a controller's decision.
    pub fn first(approved: bool) -> Self {
        match approved {
            true => RefundProblem::NotTried,
            false => RefundProblem::NeedsController,
        }
    }

    /// Whether nothing is owed, and no ledger is called, before a controller decides.
    pub fn waits(self) -> bool {
        matches!(
            self,
            RefundProblem::NeedsController | RefundProblem::MerchantPays
        )
    }

    /// For a reader.
    pub const fn text(self) -> &'static str {
        match self {
            RefundProblem::NotTried => "not tried yet",
            RefundProblem::Unclear => "the ledger has not answered clearly",
            RefundProblem::InsufficientFunds => "the account that pays refunds holds too little",
            RefundProblem::Refused => "the ledger refuses or cannot be reached",
            RefundProblem::NeedsController => {
                "a controller has to approve it: the money went to an account of somebody else"
            }
            RefundProblem::MerchantPays => {
                "the merchant is to pay it back himself; the resource is not delivered any more"
            }
        }
    }
}

/// `text`, cut to [`MAX_MESSAGE_BYTES`] at a character's end.
pub fn message(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}
