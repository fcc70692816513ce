//! The request and the limits of `pay` and `quote`, checked before any request is sent.

use super::{
    accounts::{canister_id, decimals, known, ledger_id, subaccount},
    exit::Failure,
    files, text,
};
use candid::Principal;
use clap::Args;
use reqwest::header::{HeaderName, HeaderValue};
use std::{path::Path, str::FromStr, time::Duration};
use tollkeeper_client::{
    Amount, By, KNOWN_TOKENS, Limits, Network, Request, SpendControls, UnitsError, parse_units,
};

/// The longest body that is sent.
const MAX_BODY: u64 = 64 << 20;

/// Headers that the command sets itself, or that would send the request to another host than that of the URL.
const OWN_HEADERS: [&str; 6] = [
    "payment-signature",
    "x-payment",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
];

#[derive(Debug, Default, Args)]
pub struct RequestArgs {
    /// The HTTP method [default: GET, with --data POST].
    #[arg(short = 'X', long)]
    pub method: Option<String>,
    /// A request header, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_parser = header, value_name = "HEADER")]
    pub headers: Vec<(String, String)>,
    /// The request body; @FILE reads it from a file.
    #[arg(short, long)]
    pub data: Option<String>,
    /// The most to pay, without the ledger's fee [default: one US dollar of ckUSDC or ckUSDT]. Repeated, one for each
    /// --asset, in the same order.
    #[arg(long = "max-amount", value_name = "AMOUNT")]
    pub max_amounts: Vec<String>,
    /// A ledger to pay with: a canister id, or the symbol of a known token. Repeated, the first is preferred [default:
    /// ckUSDC, then ckUSDT].
    #[arg(long = "asset", value_parser = ledger_id, value_name = "ID|SYMBOL")]
    pub assets: Vec<Principal>,
    /// How to pay: from an allowance, which the canister collects after it has checked what you have signed; from an
    /// allowance by a call of the canister, for requests without body, query and headers; by a transfer of your own,
    /// which moves the money first; or in this order what is possible, where a call is made only if nothing can be
    /// signed, and a transfer only if no other offer is acceptable (any) [default: allowance].
    #[arg(long, value_parser = by, value_name = "allowance|call|transfer|any")]
    pub by: Option<By>,
    /// Accept only offers collected by this canister, whatever host serves the resource.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    pub spender: Option<Principal>,
    /// Pay from this subaccount, in hex.
    #[arg(long, value_parser = subaccount, value_name = "HEX")]
    pub subaccount: Option<[u8; 32]>,
    /// How long to wait for a connection [default: 10].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600), value_name = "SECONDS")]
    pub connect_timeout: Option<u64>,
    /// How long to wait for the next byte of a response [default: 60].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    pub idle_timeout: Option<u64>,
    /// The most bytes of a resource that are read [default: 67108864].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "BYTES")]
    pub max_bytes: Option<u64>,
}

fn by(text: &str) -> Result<By, String> {
    match text {
        "allowance" => Ok(By::Allowance),
        "call" => Ok(By::Call),
        "transfer" => Ok(By::Transfer),
        "any" => Ok(By::Any),
        _ => Err("write allowance, call, transfer or any".into()),
    }
}

/// A header in curl's syntax.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it is not a header: write Name: value")?;
    let (name, value) = (name.trim(), value.trim());
    HeaderName::from_str(name).map_err(|_| format!("{name:?} is not a header name"))?;
    HeaderValue::from_str(value)
        .map_err(|_| "the value holds characters that no header may hold")?;
    match OWN_HEADERS
        .iter()
        .find(|own| own.eq_ignore_ascii_case(name))
    {
        Some(own) => Err(format!("{own} is set by the command itself")),
        None => Ok((name.into(), value.into())),
    }
}

impl RequestArgs {
    /// Whether an option was given about the request or its price. For a payment that was made these are fixed.
    pub fn is_given(&self) -> bool {
        self.method.is_some()
            || self.data.is_some()
            || !self.max_amounts.is_empty()
            || !self.assets.is_empty()
            || self.by.is_some()
    }

    /// The request for a URL.
    pub fn request(&self, url: &str) -> Result<Request, Failure> {
        let body = match self.data.as_deref() {
            None => Vec::new(),
            Some(data) => match data.strip_prefix('@') {
                Some(file) => files::read(Path::new(file), MAX_BODY)
                    .map_err(|e| Failure::usage(format!("--data {}: {e}", text::line(data))))?,
                None => data.as_bytes().to_vec(),
            },
        };
        let default = if self.data.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        let request = Request::new(method, url, body).map_err(Failure::usage)?;
        Ok(self.headers.iter().fold(request, |request, (name, value)| {
            request.with_header(name, value)
        }))
    }

    /// The ledgers to pay with, in the user's order, and the limit of each as written: `None` is the default.
    fn limits(&self) -> Result<Vec<(Principal, Option<&str>)>, Failure> {
        let given = match self.assets.is_empty() {
            false => self.assets.clone(),
            true => KNOWN_TOKENS
                .iter()
                .filter(|token| token.usd)
                .map(|token| token.principal())
                .collect(),
        };
        for (index, asset) in given.iter().enumerate() {
            if given[..index].contains(asset) {
                return Err(Failure::usage(format!("--asset {asset} is given twice")));
            }
        }
        let amounts: Vec<Option<&str>> = match self.max_amounts.as_slice() {
            [] => vec![None; given.len()],
            [one] => vec![Some(one); given.len()],
            many if many.len() == self.assets.len() => many.iter().map(|m| Some(&**m)).collect(),
            many => {
                return Err(Failure::usage(format!(
                    "--max-amount is given {} times and --asset {} times: give one limit for all, or one for each",
                    many.len(),
                    self.assets.len()
                )));
            }
        };
        Ok(given.into_iter().zip(amounts).collect())
    }

    /// Checks the limits as far as possible without querying a ledger's decimals.
    pub fn check(&self) -> Result<(), Failure> {
        let defaults = SpendControls::default();
        for (asset, amount) in self.limits()? {
            match amount {
                Some(text) => readable(text, known(asset))?,
                None if defaults.max(asset).is_some() => {}
                None => {
                    return Err(Failure::usage(format!(
                        "--asset {asset} needs --max-amount: only ckUSDC and ckUSDT have a default limit"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The spend controls, in the user's order.
    pub async fn controls(&self, network: &Network) -> Result<SpendControls, Failure> {
        let defaults = SpendControls::default();
        let mut controls = SpendControls::none();
        for (asset, amount) in self.limits()? {
            let max = match amount {
                None => defaults.max(asset).unwrap_or(Amount(0)),
                Some(text) => {
                    let decimals = decimals(network, asset).await?;
                    parse_units(text, decimals).map_err(Failure::usage)?
                }
            };
            controls = controls.allow(asset, max);
        }
        Ok(controls)
    }

    /// The limits on waiting for servers and on reading from them.
    pub fn time_and_bytes(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(seconds) = self.connect_timeout {
            limits.connect = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.idle_timeout {
            limits.idle = Duration::from_secs(seconds);
            limits.whole = limits.whole.max(limits.idle);
        }
        if let Some(bytes) = self.max_bytes {
            limits.body_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        limits
    }

    /// The ledger of amounts without a ledger, if only one is named.
    pub fn only_asset(&self) -> Option<Principal> {
        match self.assets.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

/// Whether an amount is valid, as far as that is known without the token's decimals.
pub fn readable(text: &str, decimals: Option<u8>) -> Result<(), Failure> {
    match (parse_units(text, decimals.unwrap_or(0)), decimals) {
        (Err(UnitsError::TooFine { .. }), None) | (Ok(_), _) => Ok(()),
        (Err(e), _) => Err(Failure::usage(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(assets: &[&str], amounts: &[&str]) -> RequestArgs {
        RequestArgs {
            assets: assets.iter().map(|a| ledger_id(a).unwrap()).collect(),
            max_amounts: amounts.iter().map(|a| a.to_string()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn headers_are_checked_when_they_are_typed() {
        assert_eq!(
            header("Accept:  text/plain "),
            Ok(("Accept".into(), "text/plain".into()))
        );
        assert_eq!(header("X-Empty:"), Ok(("X-Empty".into(), String::new())));
        for bad in [
            "Accept",
            "",
            ":",
            ": v",
            "a b: c",
            "ü: c",
            "a: b\nc: d",
            "a: \u{1b}",
            "a: b\0",
            "Payment-Signature: x",
            "X-PAYMENT: x",
            "host: other.example",
            "Content-Length: 1",
        ] {
            assert!(header(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_belong_to_ledgers_in_the_order_given() {
        assert_eq!(args(&[], &[]).limits().unwrap().len(), 2);
        assert_eq!(args(&[], &["0.5"]).limits().unwrap()[1].1, Some("0.5"));
        let both = args(&["ICP", "ckUSDC"], &["0.1", "2.0"]);
        let limits = both.limits().unwrap();
        assert_eq!(limits[0], (ledger_id("ICP").unwrap(), Some("0.1")));
        assert_eq!(limits[1], (ledger_id("ckUSDC").unwrap(), Some("2.0")));
        for wrong in [
            args(&["ICP", "icp"], &["1.0"]),
            args(&["ICP"], &["1.0", "2.0"]),
            args(&["ICP", "ckUSDC", "ckBTC"], &["1.0", "2.0"]),
            args(&["ICP"], &[]),
            args(&[], &["1", "2"]),
            args(&["ckUSDC"], &["0.0000001"]),
            args(&["ckUSDC"], &["-1"]),
            args(&["ckUSDC"], &[""]),
            args(&["ckUSDC"], &["9".repeat(60).as_str()]),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(args(&["ckUSDT"], &[]).check().is_ok(), "has a default");
        assert!(args(&["ICP", "ckUSDC"], &["0.1", "2.0"]).check().is_ok());
    }
}
