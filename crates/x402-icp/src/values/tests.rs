use super::*;
use candid::Principal;
use proptest::prelude::*;

#[test]
fn amounts_have_one_text_form() {
    for (text, units) in [
        ("0", 0),
        ("1", 1),
        ("10000", 10_000),
        ("340282366920938463463374607431768211455", u128::MAX),
    ] {
        assert_eq!(text.parse(), Ok(Amount(units)));
        assert_eq!(Amount(units).to_string(), text);
    }
    let refused = [
        ("", ValueError::Empty),
        ("-1", ValueError::NotDecimal),
        ("+1", ValueError::NotDecimal),
        ("1e6", ValueError::NotDecimal),
        ("1.0", ValueError::NotDecimal),
        ("1_000", ValueError::NotDecimal),
        (" 1", ValueError::NotDecimal),
        ("0x10", ValueError::NotDecimal),
        ("１", ValueError::NotDecimal),
        ("00", ValueError::LeadingZeros),
        ("01", ValueError::LeadingZeros),
        (
            "340282366920938463463374607431768211456",
            ValueError::TooLarge { max: u128::MAX },
        ),
    ];
    for (text, error) in refused {
        assert_eq!(text.parse::<Amount>(), Err(error), "{text:?}");
    }
    // 2^256, and a number that is too long to parse.
    let two_to_256 =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for text in [two_to_256.to_string(), "9".repeat(1_000_000)] {
        assert_eq!(
            text.parse::<Amount>(),
            Err(ValueError::TooLarge { max: u128::MAX })
        );
    }
}

#[test]
fn times_fit_64_bits() {
    assert_eq!(parse_seconds("18446744073709551615"), Ok(u64::MAX));
    let too_large = Err(ValueError::TooLarge {
        max: u128::from(u64::MAX),
    });
    assert_eq!(parse_seconds("18446744073709551616"), too_large);
    assert_eq!(parse_nanoseconds(&"9".repeat(40)), too_large);
    assert_eq!(parse_seconds("007"), Err(ValueError::LeadingZeros));
}

#[test]
fn nonces_are_64_lower_case_digits() {
    let text = "00ff".repeat(16);
    let nonce: Nonce = text.parse().unwrap();
    assert_eq!(nonce.to_string(), text);
    assert_eq!(
        text.to_uppercase().parse::<Nonce>(),
        Err(ValueError::NotLowerHex)
    );
    for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"0x".repeat(33)] {
        assert!(
            matches!(
                text.parse::<Nonce>(),
                Err(ValueError::WrongLength { expected: 64, .. })
            ),
            "{text:?}"
        );
    }
    for text in ["g".repeat(64), "é".repeat(32)] {
        assert_eq!(
            text.parse::<Nonce>(),
            Err(ValueError::NotLowerHex),
            "{text:?}"
        );
    }
}

#[test]
fn accounts_are_read_in_canonical_form_only() {
    let owner =
        Principal::from_text("k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae")
            .unwrap();
    let account = |last: u8| Account {
        owner,
        subaccount: Some(std::array::from_fn(|i| if i == 31 { last } else { 0 })),
    };
    // The examples of the ICRC-1 standard's textual encoding.
    let with_subaccount =
        "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.1";
    assert_eq!(parse_account(with_subaccount), Ok(account(1)));
    assert_eq!(parse_account(&owner.to_text()), Ok(Account::from(owner)));
    for text in [
        "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.01",
        "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.2",
        "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae.1",
        "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.",
        "K2T6J-2NVNP-4ZJM3-25DTZ-6XHAA-C7BOJ-5GAYF-OJ3XS-I43LP-TEZTQ-6AE",
        "k2t6j2nvnp4zjm325dtz6xhaac7boj5gayfoj3xsi43lpteztq6ae",
        "nonsense",
        "é-é.é",
    ] {
        assert!(
            matches!(parse_account(text), Err(ValueError::NotAccount { .. })),
            "{text:?}"
        );
    }
    assert_eq!(parse_account(""), Err(ValueError::Empty));
    assert!(matches!(
        parse_account(&"a".repeat(1_000)),
        Err(ValueError::TooLong { .. })
    ));
}

#[test]
fn subaccounts_in_upper_case_are_not_canonical() {
    let account = Account {
        owner: Principal::from_slice(&[1, 2, 3]),
        subaccount: Some([0xab; 32]),
    };
    let text = account.to_string();
    let (owner, subaccount) = text.split_once('.').unwrap();
    assert_eq!(parse_account(&text), Ok(account));
    assert!(parse_account(&format!("{owner}.{}", subaccount.to_uppercase())).is_err());
}

#[test]
fn base64_is_standard_padded_and_canonical() {
    assert_eq!(parse_base64(b"AP8=", 2), Ok(vec![0, 255]));
    assert_eq!(parse_base64(b"", 2), Ok(vec![]));
    for text in [
        "AP8", "AP9=", "AP8==", "AP8=\n", " AP8=", "A_8=", "A-8=", "AP8=AP8=", "=", "é",
    ] {
        assert!(
            matches!(
                parse_base64(text.as_bytes(), 8),
                Err(ValueError::NotBase64 { .. })
            ),
            "{text:?}"
        );
    }
    assert_eq!(
        parse_base64(b"AAAA", 2),
        Err(ValueError::TooLong {
            limit: 2,
            actual: 3
        })
    );
    assert!(matches!(
        parse_base64(&vec![b'A'; 1 << 20], 100),
        Err(ValueError::TooLong { limit: 100, .. })
    ));
}

proptest! {
    #[test]
    fn amounts_round_trip(units: u128) {
        prop_assert_eq!(Amount(units).to_string().parse(), Ok(Amount(units)));
    }

    #[test]
    fn accounts_round_trip(owner in prop::collection::vec(any::<u8>(), 0..=29), subaccount: Option<[u8; 32]>) {
        let account = Account { owner: Principal::from_slice(&owner), subaccount };
        prop_assert_eq!(parse_account(&account.to_string()), Ok(account));
    }

    #[test]
    fn base64_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(parse_base64(to_base64(&bytes).as_bytes(), 200), Ok(bytes));
    }

    #[test]
    fn what_is_read_is_what_would_be_written(text in "\\PC{0,80}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string(), text.clone());
        }
        if let Ok(nonce) = text.parse::<Nonce>() {
            prop_assert_eq!(nonce.to_string(), text.clone());
        }
        if let Ok(account) = parse_account(&text) {
            prop_assert_eq!(account.to_string(), text.clone());
        }
        if let Ok(bytes) = parse_base64(text.as_bytes(), 1_000) {
            prop_assert_eq!(to_base64(&bytes), text);
        }
    }
}
