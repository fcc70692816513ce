//! `balance`, and the arguments for ledgers, canisters and subaccounts.

use super::{Common, exit::Failure, output::Output, time};
use candid::Principal;
use clap::Args;
use serde_json::json;
use tollkeeper_client::{
    Account, Amount, KNOWN_TOKENS, Ledger, Network, format_units, plain_text, token_named,
};

/// A ledger by id or by the symbol of a known token.
pub fn ledger_id(text: &str) -> Result<Principal, String> {
    if let Some(token) = token_named(text) {
        return Ok(token.principal());
    }
    let known: Vec<_> = KNOWN_TOKENS.iter().map(|token| token.symbol).collect();
    x402_icp::values::parse_principal(text).map_err(|_| {
        format!(
            "neither a ledger's canister id nor one of {}",
            known.join(", ")
        )
    })
}

/// A canister id.
pub fn canister_id(text: &str) -> Result<Principal, String> {
    x402_icp::values::parse_principal(text).map_err(|e| e.to_string())
}

/// 32 bytes in hex; shorter values are padded with zeros on the left.
pub fn subaccount(text: &str) -> Result<[u8; 32], String> {
    let bytes = hex::decode(text).map_err(|e| e.to_string())?;
    let missing = 32usize
        .checked_sub(bytes.len())
        .ok_or("longer than 32 bytes")?;
    let mut subaccount = [0; 32];
    subaccount[missing..].copy_from_slice(&bytes);
    Ok(subaccount)
}

/// The decimals of a known token's amounts.
pub fn known(ledger: Principal) -> Option<u8> {
    KNOWN_TOKENS
        .iter()
        .find(|token| token.principal() == ledger)
        .map(|token| token.decimals)
}

/// The symbol of a known token.
pub fn symbol(ledger: Principal) -> Option<&'static str> {
    let token = KNOWN_TOKENS
        .iter()
        .find(|token| token.principal() == ledger)?;
    Some(token.symbol)
}

/// The decimals of a ledger's amounts: known, or queried from the ledger, never taken from a seller.
pub async fn decimals(network: &Network, ledger: Principal) -> Result<u8, Failure> {
    match known(ledger) {
        Some(decimals) => Ok(decimals),
        None => Ok(network.ledger(ledger).decimals().await?),
    }
}

/// An amount for readers: in tokens if the token is known, else in atomic units. A ledger may claim any symbol and any
/// number of decimals, so neither is taken from it.
pub fn amount_text(amount: Amount, ledger: Principal) -> String {
    match KNOWN_TOKENS
        .iter()
        .find(|token| token.principal() == ledger)
    {
        Some(token) => format!("{} {}", format_units(amount, token.decimals), token.symbol),
        None => format!("{amount} units of ledger {ledger}"),
    }
}

#[derive(Debug, Args)]
pub struct BalanceArgs {
    /// The ledger: a canister id, or the symbol of a known token.
    #[arg(long, default_value = "ckUSDC", value_parser = ledger_id, value_name = "ID|SYMBOL")]
    ledger: Principal,
    /// Of this subaccount, in hex.
    #[arg(long, value_parser = subaccount, value_name = "HEX")]
    subaccount: Option<[u8; 32]>,
    /// Show also what this canister may collect.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    spender: Option<Principal>,
}

/// Shows the balance of the account and the allowance of a spender.
pub async fn balance(args: &BalanceArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    let identity = common.identity()?;
    let network = common.network(&identity).await?;
    let account = Account {
        subaccount: args.subaccount,
        ..identity.account()
    };
    output.busy("querying the ledger");
    let ledger: Ledger<'_> = network.ledger(args.ledger);
    let (balance, symbol) = tokio::try_join!(ledger.balance(account), ledger.symbol())?;
    let decimals = decimals(&network, args.ledger).await?;
    // The symbol that the ledger claims.
    let symbol = plain_text(&symbol);
    let mut object = json!({
        "ok": true,
        "account": account.to_string(),
        "ledger": args.ledger.to_text(),
        "symbol": symbol,
        "decimals": decimals,
        "balance": balance.to_string(),
    });
    let mut lines = vec![format!(
        "{} {symbol} in {account}",
        format_units(balance, decimals)
    )];
    if let Some(spender) = args.spender {
        let (allowance, expires_at) = ledger.allowance(account, spender.into()).await?;
        object["allowance"] = json!(allowance.to_string());
        if let Some(at) = expires_at {
            object["allowanceExpiresAt"] = json!(at.to_string());
        }
        lines.push(format!(
            "{} {symbol} of it may be collected by {spender}{}",
            format_units(allowance, decimals),
            expires_at.map_or_else(String::new, |at| format!(
                " until {}",
                time::utc(at / 1_000_000_000)
            ))
        ));
    }
    output.result(object, &lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_are_named_by_id_or_known_symbol() {
        let id = Principal::from_text("xevnm-gaaaa-aaaar-qafnq-cai").unwrap();
        assert_eq!(ledger_id("xevnm-gaaaa-aaaar-qafnq-cai"), Ok(id));
        assert_eq!(ledger_id("ckusdc"), Ok(id));
        assert!(ledger_id("DOGE").unwrap_err().contains("ckUSDC"));
    }

    #[test]
    fn subaccounts_are_filled_on_the_left() {
        assert_eq!(subaccount("01").unwrap()[31], 1);
        assert_eq!(subaccount(&"ff".repeat(32)), Ok([255; 32]));
        assert!(subaccount(&"ff".repeat(33)).is_err());
        assert!(subaccount("0").is_err());
    }
}
