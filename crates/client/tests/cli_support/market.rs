//! A shop, a gateway in front of it, and the command of a payer who has money.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::{
    cli_support::{self, Act, Cli, Gateway, port_of},
    support::{FUNDS, PRICE, Shop, merchant},
};
use tollkeeper_client::{Account, Identity};

/// The account of the command's key.
pub fn account() -> Account {
    Identity::from_pem(&cli_support::pem(1)).unwrap().account()
}

/// A shop with a gateway in front of it, and a payer who has money.
pub struct Market {
    pub shop: Shop,
    pub gateway: Gateway,
    pub cli: Cli,
}

impl Market {
    /// Opens the shop under a name that no other test uses.
    pub fn open(name: &str, script: Vec<Act>) -> Self {
        Self::of(Shop::open(), name, script)
    }

    pub fn of(shop: Shop, name: &str, script: Vec<Act>) -> Self {
        shop.fund(account(), FUNDS);
        Market {
            gateway: Gateway::open(port_of(&shop.replica), script),
            cli: Cli::on(name, &shop.replica),
            shop,
        }
    }

    /// The URL of a path by way of the gateway.
    pub fn url(&self, path: &str) -> String {
        format!(
            "http://{}.localhost:{}{path}",
            self.shop.canister, self.gateway.port
        )
    }

    /// Arguments to pay for a URL with the shop's token.
    pub fn pay<'a>(&self, url: &'a str, more: &[&'a str]) -> Vec<String> {
        let ledger = self.shop.ledger.to_text();
        [
            "pay",
            url,
            "--asset",
            &ledger,
            "--max-amount",
            "30000",
            "--approve",
        ]
        .iter()
        .chain(more)
        .map(|text| text.to_string())
        .collect()
    }

    /// Exit status and the one object on standard output.
    pub fn json(&self, args: &[String]) -> (i32, serde_json::Value) {
        self.cli.json(&refs(args))
    }

    /// How many purchases the merchant was paid for.
    pub fn blocks(&self) -> u128 {
        let earned = self.shop.balance(merchant());
        assert_eq!(earned % PRICE, 0);
        earned / PRICE
    }
}

/// Borrowed arguments.
pub fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
