//! `approve`: an approval gives power over money, so it is checked and shown before it is made.

use super::{
    Common,
    accounts::{amount_text, canister_id, decimals, known, ledger_id, subaccount},
    exit::{Failure, USAGE},
    output::Output,
    request::readable,
    signals::Situation,
    time,
};
use candid::Principal;
use clap::Args;
use icrc_ledger_types::icrc2::approve::ApproveError;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use tollkeeper_client::{Account, Amount, Approval, LedgerError, is_canister, parse_units};

/// The most tries of an approval when the allowance changes in between.
const ATTEMPTS: usize = 5;

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// How much the canister may collect in all, the ledger's fee of each payment included; 0 revokes.
    amount: String,
    /// The canister that may collect.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    spender: Principal,
    /// The ledger: a canister id, or the symbol of a known token.
    #[arg(long, default_value = "ckUSDC", value_parser = ledger_id, value_name = "ID|SYMBOL")]
    ledger: Principal,
    /// From this subaccount, in hex.
    #[arg(long, value_parser = subaccount, value_name = "HEX")]
    subaccount: Option<[u8; 32]>,
    /// For how many hours; 0 without an end.
    #[arg(long, default_value_t = 24, value_name = "HOURS")]
    hours: u32,
    /// Replace an approval that allows more or lasts longer. Without this an existing approval is never lowered.
    #[arg(long)]
    lower: bool,
}

/// The present allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    amount: Amount,
    /// Nanoseconds since 1970-01-01; `None` without an end.
    expires_at: Option<u64>,
}

/// The approval to make, given the present one; `None` if that would lower it.
fn merged(asked: Standing, standing: Standing, lower: bool) -> Option<Standing> {
    let nothing = Amount(0);
    if lower || asked.amount == nothing || standing.amount == nothing {
        return Some(asked);
    }
    if asked.amount < standing.amount {
        return None;
    }
    let expires_at = match (asked.expires_at, standing.expires_at) {
        (Some(asked), Some(standing)) => Some(asked.max(standing)),
        _ => None,
    };
    Some(Standing {
        expires_at,
        ..asked
    })
}

fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn until(expires_at: Option<u64>) -> String {
    match expires_at {
        Some(at) => format!("until {}", time::utc(at / 1_000_000_000)),
        None => "without an end".into(),
    }
}

/// Lets a canister collect payments.
pub async fn run(
    args: &ApproveArgs,
    common: &Common,
    output: &Output,
    situation: &Situation,
) -> Result<(), Failure> {
    common.check()?;
    readable(&args.amount, known(args.ledger))?;
    let expires_at = match args.hours {
        0 => None,
        hours => Some(
            u64::from(hours)
                .checked_mul(3_600_000_000_000)
                .and_then(|lasts| now().checked_add(lasts))
                .ok_or_else(|| Failure::usage("--hours is too long"))?,
        ),
    };
    let identity = common.identity()?;
    let network = common.network(&identity).await?;
    let decimals = decimals(&network, args.ledger).await?;
    let amount = parse_units(&args.amount, decimals).map_err(Failure::usage)?;
    // Revoking is always safe, and corrects an approval for a wrong spender.
    if amount.0 > 0 && !is_canister(args.spender) {
        return Err(Failure::usage(format!(
            "{} is not a canister: the owner of the key could take the money at any time",
            args.spender
        )));
    }
    let payer = Account {
        subaccount: args.subaccount,
        ..identity.account()
    };
    let asked = Standing { amount, expires_at };
    let ledger = network.ledger(args.ledger);
    for attempt in 1.. {
        output.busy("querying the ledger");
        let (stands, expires_at) = ledger.allowance(payer, args.spender.into()).await?;
        let ended = expires_at.is_some_and(|at| at <= now());
        let standing = Standing {
            amount: if ended { Amount(0) } else { stands },
            expires_at,
        };
        let Some(approve) = merged(asked, standing, args.lower) else {
            return Err(lowers(args, asked, standing));
        };
        let words = format!(
            "{} to {} from {payer}, {}",
            amount_text(approve.amount, args.ledger),
            args.spender,
            until(approve.expires_at)
        );
        if attempt == 1 {
            output.note(format!("approving {words}"));
        }
        situation.update(|known| known.approval = Some(words.clone()));
        output.busy("approving on the ledger");
        let approved = ledger
            .approve(&Approval {
                from_subaccount: args.subaccount,
                spender: args.spender.into(),
                amount: approve.amount,
                expected_allowance: Some(stands),
                expires_at: approve.expires_at,
            })
            .await;
        let block = match approved {
            Err(LedgerError::Approve {
                problem: ApproveError::AllowanceChanged { .. },
                ..
            }) if attempt < ATTEMPTS => continue,
            // The call may have arrived.
            Err(e @ LedgerError::Call { .. }) => {
                let failure = Failure::from(e);
                let message = format!(
                    "{}\nthis approval may have been made: {words}\nlook with: tollkeeper balance --ledger {} --spender {}",
                    failure.message, args.ledger, args.spender
                );
                return Err(Failure { message, ..failure }.with("approval", json!(words)));
            }
            approved => approved?,
        };
        situation.update(|known| known.approval = None);
        let object = json!({
            "ok": true,
            "account": payer.to_string(),
            "ledger": args.ledger.to_text(),
            "spender": args.spender.to_text(),
            "amount": approve.amount.to_string(),
            "expiresAt": approve.expires_at.map(|at| at.to_string()),
            "block": block.0.to_string(),
        });
        return output.result(object, &[format!("approved {words} (block {})", block.0)]);
    }
    unreachable!("BUG: the attempts never end")
}

fn lowers(args: &ApproveArgs, asked: Standing, standing: Standing) -> Failure {
    let message = format!(
        "{} may collect {} {}, which {} would lower: add --lower to do that, or approve more",
        args.spender,
        amount_text(standing.amount, args.ledger),
        until(standing.expires_at),
        amount_text(asked.amount, args.ledger),
    );
    Failure::new(USAGE, "would_lower", message)
        .with("allowance", json!(standing.amount.to_string()))
        .with(
            "allowanceExpiresAt",
            json!(standing.expires_at.map(|at| at.to_string())),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(amount: u128, expires_at: Option<u64>) -> Standing {
        Standing {
            amount: Amount(amount),
            expires_at,
        }
    }

    #[test]
    fn an_approval_never_lowers_an_allowance_unasked() {
        let asked = standing(5, Some(100));
        for (stands, merge) in [
            (standing(0, None), Some(asked)),
            (standing(5, Some(50)), Some(asked)),
            (standing(4, Some(200)), Some(standing(5, Some(200)))),
            (standing(4, None), Some(standing(5, None))),
            (standing(6, Some(50)), None),
            (standing(6, None), None),
        ] {
            assert_eq!(merged(asked, stands, false), merge, "{stands:?}");
            assert_eq!(merged(asked, stands, true), Some(asked), "{stands:?}");
        }
        let revoke = standing(0, None);
        assert_eq!(merged(revoke, standing(6, None), false), Some(revoke));
    }
}
