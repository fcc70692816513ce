//! `receipt`.

use super::{
    Common,
    accounts::{canister_id, known, ledger_id},
    exit::{Failure, RECEIPT, UNREACHABLE},
    output::Output,
    proof::{Fields, Transfer, compare_block, receipt_of},
};
use candid::{Nat, Principal};
use clap::Args;
use serde_json::json;
use tollkeeper_client::{
    Account, Identity, Network, PaymentId, Receipt, plain_text, serving_canister,
};
use x402_icp::values::{parse_account, parse_principal};

#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The receipt's URL, or the payment's id.
    #[arg(value_name = "URL|ID")]
    receipt: String,
    /// The canister that was paid through: needed when the receipt is named by id, or by a URL whose host does not name
    /// the canister.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
    /// Compare every field with the canister's own receipt, with the ledger's block, and with what you expect: the
    /// payment id you asked for, --ledger, and --payer or the identity.
    #[arg(long)]
    check: bool,
    /// The ledger that must have been paid with: a canister id, or the symbol of a known token [default: the one that the
    /// canister names].
    #[arg(long, value_parser = ledger_id, requires = "check", value_name = "ID|SYMBOL")]
    ledger: Option<Principal>,
    /// The account that must have paid [default: any of the identity, if there is one].
    #[arg(long, value_parser = account, requires = "check", value_name = "ACCOUNT")]
    payer: Option<Account>,
}

fn account(text: &str) -> Result<Account, String> {
    parse_account(text).map_err(|e| format!("it {e}"))
}

/// The payment id in the URL of a receipt, `…/x402/receipts/<payment id>`.
fn id_in(url: &str) -> Option<PaymentId> {
    let url = reqwest::Url::parse(url).ok()?;
    let mut segments = url.path_segments()?.rev();
    let id = segments.next()?.parse().ok()?;
    (segments.next() == Some("receipts")).then_some(id)
}

/// Shows a receipt.
pub async fn run(args: &ReceiptArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    common.check()?;
    output.busy("asking for the receipt");
    let is_url = args.receipt.starts_with("http://") || args.receipt.starts_with("https://");
    let (asked, canister) = match is_url {
        true => (
            id_in(&args.receipt),
            args.canister.or_else(|| serving_canister(&args.receipt)),
        ),
        false => {
            let id: PaymentId = args
                .receipt
                .parse()
                .map_err(|e| Failure::usage(format!("neither a URL nor a payment's id: it {e}")))?;
            let canister = args
                .canister
                .ok_or_else(|| Failure::usage("a payment's id needs --canister"))?;
            (Some(id), Some(canister))
        }
    };
    // Who asks is of no importance, unless the payer must be the identity.
    let identity = common.identity_or_any()?;
    let own = common.identity_file().is_some();
    let receipt = match (is_url, asked, canister) {
        (false, Some(id), Some(canister)) => {
            let network = common.network(&identity).await?;
            Receipt::of_canister(&network, canister, id).await?
        }
        _ => Receipt::fetch(&args.receipt).await?,
    };
    if !args.check {
        let lines = describe(&receipt);
        return output.result(
            json!({"ok": true, "receipt": receipt, "checked": false}),
            &lines,
        );
    }
    let network = common.network(&identity).await?;
    output.busy("asking the canister and the ledger");
    let check = Check {
        args,
        asked,
        canister,
        network: &network,
        payer: own.then_some(&identity),
    };
    let fields = check.run(&receipt).await?;
    if let Some(lie) = fields.lie() {
        let found = lie.found.as_deref().unwrap_or_default();
        let message = format!(
            "the receipt is not true: {} is {}, not {}",
            lie.name,
            plain_text(found),
            plain_text(&lie.said)
        );
        return Err(Failure::new(RECEIPT, "disproved", message)
            .with("field", json!(lie.name))
            .with("found", json!(found))
            .with("claimed", json!(lie.said)));
    }
    output.result(
        json!({"ok": true, "receipt": receipt, "checked": true, "proven": fields.json()}),
        &fields.lines(),
    )
}

/// What a receipt is compared with.
struct Check<'a> {
    args: &'a ReceiptArgs,
    asked: Option<PaymentId>,
    canister: Option<Principal>,
    network: &'a Network,
    payer: Option<&'a Identity>,
}

impl Check<'_> {
    async fn run(&self, receipt: &Receipt) -> Result<Fields, Failure> {
        let mut fields = Fields::default();
        self.expectations(&mut fields, receipt);
        let unreadable = |what: &str| {
            Failure::new(
                RECEIPT,
                "unreadable_receipt",
                format!("what was answered is no receipt: {what} cannot be read"),
            )
        };
        let id: PaymentId = receipt
            .payment_id
            .parse()
            .map_err(|_| unreadable("paymentId"))?;
        let canister = self.canister.ok_or_else(|| {
            Failure::new(
                RECEIPT,
                "not_checked",
                "the receipt cannot be checked: its URL does not say which canister serves it. Name the canister that you paid through: --canister",
            )
        })?;
        let own = receipt_of(self.network, canister, id)
            .await
            .map_err(|problem| Failure::new(UNREACHABLE, "unreachable", problem))?
            .ok_or_else(|| {
                Failure::new(
                    RECEIPT,
                    "disproved",
                    format!("canister {canister} has no receipt for payment {id}"),
                )
            })?;
        let ledger = parse_principal(&receipt.asset).map_err(|_| unreadable("asset"))?;
        let index: Nat = receipt
            .transaction
            .parse()
            .map_err(|_| unreadable("transaction"))?;
        let block = self.network.ledger(ledger).block(&index).await?;
        let by_canister = format!("canister {canister}, whose subnet signs");
        for (name, said, found) in [
            ("network", &receipt.network, &own.network),
            ("asset", &receipt.asset, &own.asset),
            ("block", &receipt.transaction, &own.transaction),
            ("fee", &receipt.fee, &own.fee),
            ("method", &receipt.method, &own.method),
            ("path", &receipt.path, &own.path),
            ("settledAt", &receipt.settled_at, &own.settled_at),
        ] {
            fields.compare(name, said, found, &by_canister);
        }
        let transfer = Transfer {
            payer: &receipt.payer,
            pay_to: &receipt.pay_to,
            amount: &receipt.amount,
            id: &receipt.payment_id,
            spender: Some(canister),
        };
        let by_block = match known(ledger) {
            Some(_) => format!("block {} of ledger {ledger}, a known token's", index.0),
            None => format!("block {} of ledger {ledger}", index.0),
        };
        compare_block(&mut fields, &transfer, &block, &by_block);
        Ok(fields)
    }

    /// What the user asked for beats what anybody answers.
    fn expectations(&self, fields: &mut Fields, receipt: &Receipt) {
        let mut expect = |name, said: &str, expected: String| {
            if said != expected {
                fields.compare(name, said, &expected, "you");
            }
        };
        if let Some(id) = self.asked {
            expect("paymentId", &receipt.payment_id, id.to_string());
        }
        expect("network", &receipt.network, self.network.id().into());
        if let Some(ledger) = self.args.ledger {
            expect("asset", &receipt.asset, ledger.to_text());
        }
        let said = parse_account(&receipt.payer).ok();
        let right = match (self.args.payer, self.payer) {
            (Some(payer), _) => said == Some(payer),
            (None, Some(identity)) => said.is_some_and(|said| said.owner == identity.principal()),
            (None, None) => true,
        };
        if !right {
            let expected = match (self.args.payer, self.payer) {
                (Some(payer), _) => payer.to_string(),
                (None, Some(identity)) => format!("an account of {}", identity.principal()),
                (None, None) => String::new(),
            };
            expect("payer", &receipt.payer, expected);
        }
    }
}

/// A receipt in words, all of them the sender's.
fn describe(receipt: &Receipt) -> Vec<String> {
    let text = |text: &str| plain_text(text);
    vec![
        "by the word of whoever sent it (--check compares it with the canister and the ledger):"
            .into(),
        format!("payment  {}", text(&receipt.payment_id)),
        format!("for      {} {}", text(&receipt.method), text(&receipt.path)),
        format!(
            "amount   {} units of {} (and {} fee)",
            text(&receipt.amount),
            text(&receipt.asset),
            text(&receipt.fee)
        ),
        format!("payer    {}", text(&receipt.payer)),
        format!("paid to  {}", text(&receipt.pay_to)),
        format!(
            "block    {} on {}",
            text(&receipt.transaction),
            text(&receipt.network)
        ),
    ]
}
