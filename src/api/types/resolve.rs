//! A controller's decision about a doubt, and its conversion from a record of `canister.did`.

use crate::{
    domain::validate::{self, InvalidArgument as Invalid},
    service::recover::resolve::{Outcome, ResolveError as CannotResolve},
    types::{BlockIndex, PaymentId},
};
use tollkeeper_types::{ResolveArgs, ResolveError, ResolvedOutcome};

/// The field of the block.
const BLOCK: &str = "outcome.Moved.block_index";

/// The payment and the decision, if the fields are valid.
pub fn resolution(args: ResolveArgs) -> Result<(PaymentId, Outcome), Invalid> {
    let id = PaymentId(validate::bytes32("id", &args.id)?);
    let outcome = match args.outcome {
        ResolvedOutcome::NotMoved => Outcome::NotMoved,
        ResolvedOutcome::Moved { block_index } => {
            let block = validate::bounded_nat(BLOCK, &block_index, u64::MAX.into())?;
            Outcome::Moved {
                // Within the bound.
                block: BlockIndex(block as u64),
            }
        }
    };
    Ok((id, outcome))
}

impl From<Invalid> for ResolveError {
    fn from(error: Invalid) -> Self {
        ResolveError::InvalidArgument(error.into())
    }
}

impl From<CannotResolve> for ResolveError {
    fn from(error: CannotResolve) -> Self {
        match error {
            CannotResolve::Unauthorized(_) => ResolveError::Unauthorized,
            CannotResolve::UnknownPayment => ResolveError::UnknownPayment,
            CannotResolve::OtherBlock => Invalid::new(BLOCK, error.to_string()).into(),
            CannotResolve::NotInDoubt => ResolveError::NotInDoubt,
            CannotResolve::TooEarly { from } => ResolveError::TooEarly { from: from.0 },
            CannotResolve::LogDecides { until } => ResolveError::LogDecides { until: until.0 },
            CannotResolve::SettledPaymentsFull => ResolveError::SettledPaymentsFull,
        }
    }
}
