//! Canister ids as numbers: the ids of a subnet's ranges are consecutive.

use crate::types::Principal;

/// The number in a canister id, `None` for a principal that is no canister id (8 bytes big endian, then 1, 1).
pub fn canister_number(id: Principal) -> Option<u64> {
    match id.as_slice() {
        [number @ .., 1, 1] => number.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// The canister id with this number.
pub fn canister_id(number: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Principal::from_slice(&bytes)
}

/// Whether `id` lies in one of the inclusive `ranges`.
pub fn in_ranges(ranges: &[(Principal, Principal)], id: Principal) -> bool {
    canister_number(id).is_some_and(|number| {
        ranges.iter().any(|&(start, end)| {
            matches!((canister_number(start), canister_number(end)),
                (Some(start), Some(end)) if (start..=end).contains(&number))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_should_correspond() {
        let ledger = Principal::from_text("ryjl3-tyaaa-aaaaa-aaaba-cai").expect("valid text");
        assert_eq!(canister_number(ledger), Some(2));
        assert_eq!(canister_id(2), ledger);
        assert_eq!(canister_number(Principal::anonymous()), None);
        assert_eq!(canister_number(Principal::management_canister()), None);
    }

    #[test]
    fn ranges_should_be_inclusive() {
        let ranges = [(canister_id(5), canister_id(7))];
        let inside = |number| in_ranges(&ranges, canister_id(number));
        assert_eq!([4, 5, 7, 8].map(inside), [false, true, true, false]);
    }
}
