//! The token's constants, checked once when they come in.

use candid::Nat;
use icrc_ledger_types::icrc::generic_metadata_value::MetadataValue;
use icrc_ledger_types::icrc1::account::Account;
use thiserror::Error;

use super::Tokens;
use crate::args::{InitArgs, MetadataEntry, UpgradeArgs};

/// What the ICRC ledger suite takes when the argument names none.
const DEFAULT_DECIMALS: u8 = 8;
const DEFAULT_MAX_MEMO_LENGTH: u16 = 32;
/// Metadata keys the ledger writes itself; entries of the arguments with these keys are dropped.
const OWN_METADATA: [&str; 5] = [
    "icrc1:name",
    "icrc1:symbol",
    "icrc1:decimals",
    "icrc1:fee",
    "icrc1:max_memo_length",
];

/// Everything about the token that is not a balance.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub minting_account: Account,
    pub transfer_fee: Tokens,
    pub decimals: u8,
    pub token_symbol: String,
    pub token_name: String,
    pub metadata: Vec<MetadataEntry>,
    pub max_memo_length: u16,
    /// Whether the `test_*` methods may be used and faults are played.
    pub test_faults: bool,
    /// Whether it has the interface of the ICP ledger in place of ICRC-3.
    pub icp: bool,
}

/// An installation or upgrade argument this ledger cannot honour.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    #[error("{field}: {value} does not fit 128 bits")]
    TooLarge { field: &'static str, value: Nat },
    #[error(
        "fee_collector_account: fee collectors are not supported, fees are burned; leave it null"
    )]
    FeeCollector,
    #[error("change_fee_collector: SetTo is not supported, fees are burned")]
    ChangeFeeCollector,
    #[error("feature_flags.icrc2 = false is not supported: ICRC-2 is always on")]
    WithoutIcrc2,
    #[error("initial_balances: the minting account cannot hold tokens")]
    MinterHoldsTokens,
    #[error("max_memo_length: {new} is less than the present {present}; it can only grow")]
    MemoShrinks { present: u16, new: u16 },
}

impl Config {
    /// Reads the token's constants from the installation argument. Balances are not looked at.
    pub fn from_init(args: &InitArgs) -> Result<Self, ConfigError> {
        if args.fee_collector_account.is_some() {
            return Err(ConfigError::FeeCollector);
        }
        if args
            .feature_flags
            .as_ref()
            .is_some_and(|flags| !flags.icrc2)
        {
            return Err(ConfigError::WithoutIcrc2);
        }
        if args
            .initial_balances
            .iter()
            .any(|(account, _)| *account == args.minting_account)
        {
            return Err(ConfigError::MinterHoldsTokens);
        }
        Ok(Self {
            minting_account: args.minting_account,
            transfer_fee: tokens("transfer_fee", &args.transfer_fee)?,
            decimals: args.decimals.unwrap_or(DEFAULT_DECIMALS),
            token_symbol: args.token_symbol.clone(),
            token_name: args.token_name.clone(),
            metadata: foreign(&args.metadata),
            max_memo_length: args.max_memo_length.unwrap_or(DEFAULT_MAX_MEMO_LENGTH),
            test_faults: args.test_faults.unwrap_or(false),
            icp: args.test_icp.unwrap_or(false),
        })
    }

    /// The constants after an upgrade with these arguments.
    pub fn upgraded(mut self, args: UpgradeArgs) -> Result<Self, ConfigError> {
        use crate::args::ChangeFeeCollector;
        if let Some(ChangeFeeCollector::SetTo(_)) = args.change_fee_collector {
            return Err(ConfigError::ChangeFeeCollector);
        }
        if args.feature_flags.is_some_and(|flags| !flags.icrc2) {
            return Err(ConfigError::WithoutIcrc2);
        }
        if let Some(new) = args.max_memo_length {
            let present = self.max_memo_length;
            if new < present {
                return Err(ConfigError::MemoShrinks { present, new });
            }
            self.max_memo_length = new;
        }
        if let Some(fee) = args.transfer_fee {
            self.transfer_fee = tokens("transfer_fee", &fee)?;
        }
        if let Some(metadata) = args.metadata {
            self.metadata = foreign(&metadata);
        }
        if let Some(symbol) = args.token_symbol {
            self.token_symbol = symbol;
        }
        if let Some(name) = args.token_name {
            self.token_name = name;
        }
        Ok(self)
    }

    /// `icrc1_metadata`: the installer's entries and the standard ones.
    pub fn metadata(&self) -> Vec<MetadataEntry> {
        let nat = |value: Nat| MetadataValue::Nat(value);
        let text = |value: &String| MetadataValue::Text(value.clone());
        let [name, symbol, decimals, fee, memo] = OWN_METADATA.map(String::from);
        let mut metadata = self.metadata.clone();
        metadata.extend([
            (name, text(&self.token_name)),
            (symbol, text(&self.token_symbol)),
            (decimals, nat(Nat::from(self.decimals))),
            (fee, nat(Nat::from(self.transfer_fee))),
            (memo, nat(Nat::from(self.max_memo_length))),
        ]);
        metadata
    }
}

/// Checks that a number of tokens can be kept.
pub fn tokens(field: &'static str, value: &Nat) -> Result<Tokens, ConfigError> {
    Tokens::try_from(&value.0).map_err(|_| ConfigError::TooLarge {
        field,
        value: value.clone(),
    })
}

fn foreign(metadata: &[MetadataEntry]) -> Vec<MetadataEntry> {
    metadata
        .iter()
        .filter(|(key, _)| !OWN_METADATA.contains(&key.as_str()))
        .cloned()
        .collect()
}
