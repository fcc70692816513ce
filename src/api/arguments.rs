//! Optional arguments that are of another type than wanted.
//!
//! Candid reads an optional value of another type as if it were absent. A canister that is installed with a
//! mistyped account would then send payments to its installer, so such arguments are refused.

use super::types::{InitArgs, TollkeeperArgs};
use candid::{CandidType, Deserialize, Reserved};

/// Which settings the argument has, of whatever type.
#[derive(CandidType, Deserialize)]
struct Given<L> {
    network: Option<Reserved>,
    pay_to: Option<Reserved>,
    operators: Option<Reserved>,
    limits: Option<L>,
}

#[derive(CandidType, Deserialize)]
struct GivenLimits {
    max_routes: Option<Reserved>,
    max_content_total_bytes: Option<Reserved>,
    max_payments: Option<Reserved>,
    max_timeout_seconds: Option<Reserved>,
    cycles_floor: Option<Reserved>,
    retention_seconds: Option<Reserved>,
}

#[derive(CandidType, Deserialize)]
enum GivenArgs<L> {
    Init(Given<L>),
    Upgrade(Given<L>),
}

impl<L> GivenArgs<L> {
    fn given(self) -> Given<L> {
        match self {
            GivenArgs::Init(given) | GivenArgs::Upgrade(given) => given,
        }
    }
}

/// Checks that the argument `raw` of a method with one optional argument was given and understood as `read`: whoever
/// leaves it out, or mistypes it, does not mean to take a setting back.
pub fn check_optional<T>(raw: &[u8], read: Option<&T>) -> Result<(), String> {
    let unreadable = |error: candid::Error| error.to_string();
    if candid::de::IDLDeserialize::new(raw)
        .map_err(unreadable)?
        .is_done()
    {
        return Err("the argument is missing; null takes the setting back".into());
    }
    let given: Option<Reserved> = candid::decode_one(raw).map_err(unreadable)?;
    match read.is_none() && given.is_some() {
        true => Err("the argument is of another type than in canister.did".into()),
        false => Ok(()),
    }
}

/// Checks that everything in the argument `raw` was understood as `read`; else names what was not.
pub fn check(raw: &[u8], read: Option<&TollkeeperArgs>) -> Result<(), String> {
    let mistyped = |what: &str| {
        Err(format!(
            "{what} of the argument is of another type than in canister.did"
        ))
    };
    let unreadable = |error: candid::Error| error.to_string();
    let Some(TollkeeperArgs::Init(args) | TollkeeperArgs::Upgrade(args)) = read else {
        return match candid::decode_one::<Option<Reserved>>(raw).map_err(unreadable)? {
            Some(_) => mistyped("the whole"),
            None => Ok(()),
        };
    };
    let given: Option<GivenArgs<Reserved>> = candid::decode_one(raw).map_err(unreadable)?;
    if let Some(given) = given.map(GivenArgs::given)
        && let Some(field) = lost(&given, args)
    {
        return mistyped(field);
    }
    let given: Option<GivenArgs<GivenLimits>> = candid::decode_one(raw).map_err(unreadable)?;
    if let Some(given) = given.and_then(|given| given.given().limits)
        && let Some(field) = lost_limit(&given, args)
    {
        return mistyped(field);
    }
    Ok(())
}

fn lost(given: &Given<Reserved>, args: &InitArgs) -> Option<&'static str> {
    [
        ("network", given.network.is_some(), args.network.is_some()),
        ("pay_to", given.pay_to.is_some(), args.pay_to.is_some()),
        (
            "operators",
            given.operators.is_some(),
            args.operators.is_some(),
        ),
        ("limits", given.limits.is_some(), args.limits.is_some()),
    ]
    .into_iter()
    .find_map(|(field, given, read)| (given != read).then_some(field))
}

fn lost_limit(given: &GivenLimits, args: &InitArgs) -> Option<&'static str> {
    let read = args.limits.as_ref()?;
    [
        (
            "max_routes",
            given.max_routes.is_some(),
            read.max_routes.is_some(),
        ),
        (
            "max_content_total_bytes",
            given.max_content_total_bytes.is_some(),
            read.max_content_total_bytes.is_some(),
        ),
        (
            "max_payments",
            given.max_payments.is_some(),
            read.max_payments.is_some(),
        ),
        (
            "max_timeout_seconds",
            given.max_timeout_seconds.is_some(),
            read.max_timeout_seconds.is_some(),
        ),
        (
            "cycles_floor",
            given.cycles_floor.is_some(),
            read.cycles_floor.is_some(),
        ),
        (
            "retention_seconds",
            given.retention_seconds.is_some(),
            read.retention_seconds.is_some(),
        ),
    ]
    .into_iter()
    .find_map(|(field, given, read)| (given != read).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::Encode;
    use candid_parser::parse_idl_args;

    fn checked(text: &str) -> Result<(), String> {
        let raw = parse_idl_args(text)
            .expect("Candid")
            .to_bytes()
            .expect("values");
        let read: Option<TollkeeperArgs> =
            candid::decode_one(&raw).expect("an option is always read");
        check(&raw, read.as_ref())
    }

    #[test]
    fn an_optional_argument_is_given_or_refused() {
        let checked = |raw: &[u8]| {
            let read: Option<String> = candid::decode_one(raw).unwrap_or_default();
            check_optional(raw, read.as_ref())
        };
        let text = "https://shop.example".to_string();
        assert_eq!(checked(&Encode!(&Some(&text)).unwrap()), Ok(()));
        assert_eq!(checked(&Encode!(&None::<String>).unwrap()), Ok(()));
        assert_eq!(checked(&Encode!(&text).unwrap()), Ok(()));
        for raw in [
            Encode!().unwrap(),
            Encode!(&7_u64).unwrap(),
            Encode!(&Some(7_u64)).unwrap(),
            Encode!(&vec![text]).unwrap(),
            b"garbage".to_vec(),
        ] {
            assert!(checked(&raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn mistyped_arguments_of_installation_are_not_taken_for_absent_ones() {
        for good in [
            "(null)",
            "(opt variant { Init = record {} })",
            "(opt variant { Upgrade = record { network = opt \"icp:1\" } })",
            "(variant { Init = record { limits = opt record { max_routes = opt (5 : nat32) } } })",
            "(opt variant { Init = record { operators = opt vec { principal \"aaaaa-aa\" }; pay_to = null } })",
        ] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        for (bad, what) in [
            ("(record {})", "the whole"),
            ("(opt \"text\")", "the whole"),
            ("(variant { Instal = record {} })", "the whole"),
            (
                "(opt variant { Init = record { pay_to = opt \"aaaaa-aa\" } })",
                "pay_to",
            ),
            (
                "(opt variant { Init = record { network = opt 5 } })",
                "network",
            ),
            (
                "(opt variant { Init = record { operators = opt principal \"aaaaa-aa\" } })",
                "operators",
            ),
            (
                "(opt variant { Upgrade = record { limits = opt 5 } })",
                "limits",
            ),
            (
                "(variant { Init = record { limits = opt record { max_routes = opt (5 : nat64) } } })",
                "max_routes",
            ),
        ] {
            let error = checked(bad).expect_err(bad);
            assert!(error.starts_with(what), "{bad}: {error}");
        }
        assert_eq!(check(b"DIDL\0\0", None), Ok(()), "no argument at all");
    }
}
