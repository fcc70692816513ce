//! Payments by the Candid method `pay`: the id of a payment, which is the memo of its transfer (`docs/dapps.md`). The
//! canister and its callers compute it with the same code.

use crate::{
    authorization::PaymentId,
    values::{Amount, Nonce},
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha256};

/// The domain separator of these payment ids.
const DOMAIN: &[u8] = b"x402-icp-call";

/// Everything that a call agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallParts<'a> {
    /// The canister that is called.
    pub canister: Principal,
    /// The caller, who pays.
    pub caller: Principal,
    /// The id that the caller has chosen.
    pub id: &'a Nonce,
    /// The caller's account that pays.
    pub from: &'a Account,
    /// The merchant's account.
    pub pay_to: &'a Account,
    /// The ledger.
    pub ledger: Principal,
    /// Atomic units.
    pub amount: Amount,
    /// The ledger's fee, in atomic units.
    pub fee: Amount,
    /// `created_at_time` of the transfer, in nanoseconds since 1970-01-01.
    pub created_at_time: u64,
    /// The HTTP method.
    pub method: &'a str,
    /// The decoded path.
    pub path: &'a str,
}

/// The payment's id: SHA-256 over the domain `x402-icp-call` and the parts, each with its length as 8 bytes before it.
/// Numbers are big-endian. An absent subaccount is 32 zeros.
pub fn call_payment_id(parts: &CallParts<'_>) -> PaymentId {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(DOMAIN);
    part(parts.canister.as_slice());
    part(parts.caller.as_slice());
    part(&parts.id.0);
    for account in [parts.from, parts.pay_to] {
        part(account.owner.as_slice());
        part(account.effective_subaccount());
    }
    part(parts.ledger.as_slice());
    part(&parts.amount.0.to_be_bytes());
    part(&parts.fee.0.to_be_bytes());
    part(&parts.created_at_time.to_be_bytes());
    part(parts.method.as_bytes());
    part(parts.path.as_bytes());
    PaymentId(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_changes_the_id_and_zeros_are_the_default_subaccount() {
        let (one, two) = (Principal::from_slice(&[1]), Principal::from_slice(&[2]));
        let (from, pay_to) = (Account::from(one), Account::from(two));
        let id = Nonce([7; 32]);
        let base = CallParts {
            canister: Principal::from_slice(&[9]),
            caller: one,
            id: &id,
            from: &from,
            pay_to: &pay_to,
            ledger: Principal::from_slice(&[3]),
            amount: Amount(10_000),
            fee: Amount(10),
            created_at_time: 1_700_000_000_000_000_000,
            method: "GET",
            path: "/a",
        };
        let mut zeros = from;
        zeros.subaccount = Some([0; 32]);
        let same = CallParts {
            from: &zeros,
            ..base
        };
        assert_eq!(call_payment_id(&same), call_payment_id(&base));
        assert_eq!(
            call_payment_id(&base).to_string(),
            "4c128258ab1eae9e567c6c86836bca1ce72ece8db58e04786ba518572b6e9a69"
        );
        let (other, mut sub) = (Nonce([8; 32]), from);
        sub.subaccount = Some([1; 32]);
        for parts in [
            CallParts {
                canister: two,
                ..base
            },
            CallParts {
                caller: two,
                ..base
            },
            CallParts { id: &other, ..base },
            CallParts { from: &sub, ..base },
            CallParts {
                pay_to: &from,
                ..base
            },
            CallParts {
                ledger: two,
                ..base
            },
            CallParts {
                amount: Amount(10_001),
                ..base
            },
            CallParts {
                fee: Amount(11),
                ..base
            },
            CallParts {
                created_at_time: 1,
                ..base
            },
            CallParts {
                method: "GET/",
                path: "a",
                ..base
            },
            CallParts { path: "/b", ..base },
        ] {
            assert_ne!(call_payment_id(&parts), call_payment_id(&base), "{parts:?}");
        }
    }
}
