//! The result of a purchase, for readers and for programs.

use crate::cli::{
    accounts::amount_text,
    content::Target,
    exit::{self, Failure},
    journal::Kept,
    output::Output,
    proof::{Fields, Transfer, compare_block},
    signals::Situation,
    text,
};
use candid::Nat;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tollkeeper_client::{
    Amount, LedgerError, Paid, PayError, Payer, Resolution, Response, plain_text,
};
use x402_icp::values::parse_principal;

/// A resource that is free, or not found.
pub fn free(target: Target, output: &Output, response: &Response) -> Result<(), Failure> {
    if !(200..300).contains(&response.status) {
        return Err(not_found(response));
    }
    output.say("free of charge");
    let object = json!({"ok": true, "paid": false, "httpStatus": response.status});
    target.write(response, &[], output, object)
}

/// A response without a price and without a resource.
pub fn not_found(response: &Response) -> Failure {
    let message = format!(
        "{} answered HTTP {}{}; nothing was paid",
        plain_text(&response.url),
        response.status,
        response
            .said()
            .map(|said| format!(" ({said})"))
            .unwrap_or_default()
    );
    Failure::new(exit::OTHER, "http_status", message).with("httpStatus", json!(response.status))
}

/// The proof that the money moved.
enum Proof {
    /// The seller's receipt, which matches the payment.
    Receipt,
    /// The ledger's block, which the canister named.
    Ledger(String),
    /// The canister and the ledger prove that no money moved.
    Unpaid(String),
    /// There is no proof.
    None(String),
}

/// The data for writing the content.
pub struct HandOver<'a> {
    pub payer: &'a Payer,
    pub kept: &'a Kept,
    pub output: &'a Output,
    pub situation: &'a Situation,
    /// Files that the content must not replace.
    pub keep: Vec<PathBuf>,
    /// Whether to compare the receipt with the ledger.
    pub check: bool,
}

impl HandOver<'_> {
    /// Writes the content, whatever is known about the receipt. The record ends when the content is written and the
    /// payment's end is proven.
    pub async fn run(self, target: Target, paid: Paid) -> Result<(), Failure> {
        let proof = match paid.proven {
            true => Proof::Receipt,
            false => self.ask(&paid).await,
        };
        let mut object = self.object(&paid, &proof);
        let mut failure = self.say(&paid, &proof);
        if self.check && failure.is_none() && !matches!(proof, Proof::Unpaid(_)) {
            match self.compare(&paid, &proof).await {
                Ok(()) => object["checked"] = json!(true),
                Err(problem) => failure = Some(recorded(problem, self.situation)),
            }
        }
        if let Some(failure) = &failure {
            object["ok"] = json!(false);
            object["error"] = failure.object()["error"].clone();
        }
        let keep: Vec<&Path> = self.keep.iter().map(PathBuf::as_path).collect();
        target
            .write(&paid.response, &keep, self.output, object)
            .map_err(|failure| recorded(failure, self.situation))?;
        self.situation.update(|known| known.delivered = true);
        if let Proof::Ledger(_) = &proof {
            self.kept.arrived(&paid.payment);
        }
        // A receipt that did not pass the check does not end the record: the same request sends the same payment again,
        // which is charged once.
        if failure.is_none()
            && let Err(problem) = self.kept.written()
        {
            self.output.note(format!("warning: {}", problem.message));
        }
        match failure {
            Some(failure) => {
                self.output.say(format!("tollkeeper: {}", failure.message));
                Err(failure)
            }
            None => Ok(()),
        }
    }

    /// Checks a payment with canister and ledger, because its receipt is missing or that of another payment.
    async fn ask(&self, paid: &Paid) -> Proof {
        match self.payer.status(&paid.payment).await {
            Resolution::Paid { block, .. } => Proof::Ledger(block),
            Resolution::Dead { reason } => Proof::Unpaid(reason),
            Resolution::Unknown { reason } => Proof::None(reason),
            _ => Proof::None("the kind of the outcome is unknown to this version".into()),
        }
    }

    fn block(paid: &Paid, proof: &Proof) -> Option<String> {
        match proof {
            Proof::Receipt => paid.receipt.as_ref().map(|r| r.transaction.clone()),
            Proof::Ledger(block) => Some(block.clone()),
            Proof::Unpaid(_) | Proof::None(_) => None,
        }
    }

    fn object(&self, paid: &Paid, proof: &Proof) -> Value {
        let accepted = &paid.payment.payment.accepted;
        let (is_paid, proven) = match proof {
            Proof::Receipt => (json!(true), json!("receipt")),
            Proof::Ledger(_) => (json!(true), json!("ledger")),
            Proof::Unpaid(_) => (json!(false), json!("ledger")),
            Proof::None(_) => (Value::Null, Value::Null),
        };
        let mut object = json!({
            "ok": true,
            "paid": is_paid,
            "proof": proven,
            "httpStatus": paid.response.status,
            "paymentId": paid.payment.shown_id(),
            "network": accepted.network,
            "asset": accepted.asset,
            "amount": accepted.amount,
            "payTo": accepted.pay_to,
            "payer": paid.payment.payment.payload.from(),
            "by": paid.payment.paid_by().as_str(),
            "block": Self::block(paid, proof),
            "receipt": paid.receipt,
            "problems": paid.problems,
        });
        if let Some((_, file)) = self.situation.known().payment {
            object["file"] = json!(file.display().to_string());
        }
        object
    }

    /// Reports how the purchase ended; a failure if the outcome is not proven.
    fn say(&self, paid: &Paid, proof: &Proof) -> Option<Failure> {
        let accepted = &paid.payment.payment.accepted;
        let id = &paid.payment.shown_id();
        let price = match (
            accepted.amount.parse::<Amount>(),
            parse_principal(&accepted.asset),
        ) {
            (Ok(amount), Ok(ledger)) => amount_text(amount, ledger),
            _ => format!("{} units of {}", accepted.amount, accepted.asset),
        };
        let block = Self::block(paid, proof).unwrap_or_default();
        let to = plain_text(&accepted.pay_to);
        match proof {
            Proof::Receipt => self.output.say(format!(
                "paid {price} to {to}, block {} by the seller's receipt, payment {id}",
                plain_text(&block)
            )),
            Proof::Ledger(_) => self.output.say(format!(
                "paid {price} to {to}, block {block} of the ledger, payment {id}"
            )),
            Proof::Unpaid(reason) => self.output.say(format!(
                "delivered, and nothing was paid: {}",
                plain_text(reason)
            )),
            Proof::None(_) => {}
        }
        for problem in &paid.problems {
            self.output.say(format!("warning: {}", plain_text(problem)));
        }
        let Proof::None(reason) = proof else {
            return None;
        };
        let message = format!(
            "the resource was delivered, but nothing proves that {price} were paid: {}; {}",
            plain_text(&paid.problems.join("; ")),
            plain_text(reason)
        );
        let failure = Failure::new(exit::RECEIPT, "unproven", message)
            .with("paymentId", json!(id))
            .with("problems", json!(paid.problems));
        Some(recorded(failure, self.situation))
    }

    /// Compares the payment with the ledger's block.
    async fn compare(&self, paid: &Paid, proof: &Proof) -> Result<(), Failure> {
        let accepted = &paid.payment.payment.accepted;
        let index = Self::block(paid, proof).unwrap_or_default();
        let wrong = |message: String| Failure::new(exit::RECEIPT, "disproved", message);
        let ledger = parse_principal(&accepted.asset).map_err(|e| wrong(format!("asset {e}")))?;
        let number: Nat = index
            .parse()
            .map_err(|_| wrong("the receipt names no block".into()))?;
        let block = self.payer.network().ledger(ledger).block(&number).await;
        let block = match block {
            Ok(block) => block,
            Err(e @ LedgerError::NoBlock { .. }) => return Err(wrong(e.to_string())),
            Err(e) => return Err(not_checked(e.into())),
        };
        let mut fields = Fields::default();
        let transfer = Transfer {
            payer: Some(paid.payment.payment.payload.from()),
            pay_to: &accepted.pay_to,
            amount: &accepted.amount,
            id: &paid.payment.shown_id(),
            spender: paid.payment.spender(),
        };
        let place = (&*accepted.network, ledger, &number);
        compare_block(&mut fields, &transfer, &block, place, "the ledger");
        match fields.lie() {
            Some(lie) => Err(wrong(format!(
                "block {index} of ledger {ledger} contradicts the receipt: {} is {}, not {}",
                lie.name,
                lie.found.as_deref().unwrap_or_default(),
                lie.said
            ))),
            None => {
                self.output.say(format!(
                    "block {index} of ledger {ledger} confirms the receipt"
                ));
                Ok(())
            }
        }
    }
}

/// A receipt that could not be checked. According to the seller's receipt the money has moved.
pub fn not_checked(failure: Failure) -> Failure {
    match failure.status {
        exit::RECEIPT => failure,
        _ => {
            let message = format!(
                "paid by the seller's receipt, which was not checked: {}",
                failure.message
            );
            Failure::new(exit::RECEIPT, "not_checked", message)
        }
    }
}

/// Adds where the payment is and how to continue.
pub fn recorded(failure: Failure, situation: &Situation) -> Failure {
    let Some((id, file)) = situation.known().payment else {
        return failure;
    };
    let shown = text::path(&file);
    let message = format!(
        "{}\nthe payment is recorded in {shown}\n\
         the same command sends it again, and no other; or: tollkeeper pay --resume {id}\n\
         ask what became of it: tollkeeper status {id}",
        failure.message
    );
    Failure { message, ..failure }
        .with("resume", json!(id))
        .with("file", json!(file.display().to_string()))
}

/// A failure before this run sent anything, while a payment that was made before may have moved its money.
pub fn still_unknown(failure: Failure, id: &str) -> Failure {
    let message = format!(
        "{}\npayment {id} was made before, and its outcome is not known: go on with tollkeeper pay --resume {id}",
        failure.message
    );
    Failure::new(exit::UNSETTLED, "unsettled", message)
        .with("paymentId", json!(id))
        .with("resume", json!(id))
}

/// The failure of a purchase. If the payment stays recorded, the message says so.
pub fn not_bought(error: PayError, situation: &Situation) -> Failure {
    match &error {
        PayError::Refused { .. } => {
            let failure = Failure::from(error);
            let message = format!(
                "{}\nnothing was paid, and nothing can be: the canister and the ledger prove it",
                failure.message
            );
            Failure { message, ..failure }
        }
        PayError::Unsettled { payment, .. } => {
            let id = payment.payment_id.clone();
            // The payment may be another one than that of this run.
            situation.update(|known| {
                if known.payment.as_ref().is_none_or(|(own, _)| *own != id) {
                    known.payment = None;
                }
            });
            match situation.known().payment {
                Some(_) => recorded(error.into(), situation),
                None => {
                    let failure = Failure::from(error);
                    still_unknown(failure, &id)
                }
            }
        }
        PayError::Used { payment, .. }
        | PayError::NotDelivered { payment, .. }
        | PayError::ProofRefused { payment, .. } => {
            let id = payment.payment_id.clone();
            let returned = payment.block().map_or_else(String::new, |block| {
                format!(
                    "\nno other transfer is made for this request. A seller that takes the transfer for one that buys \
                     nothing returns it, which tollkeeper status {id} shows; else ask the seller, and name block {block}"
                )
            });
            let failure = recorded(error.into(), situation);
            let message = format!(
                "{}{returned}\nto give it up, and to be able to pay for the same request again: tollkeeper forget {id}",
                failure.message
            );
            Failure { message, ..failure }
        }
        PayError::Unreachable(_) if situation.known().payment.is_some() => {
            let failure = Failure::from(error);
            let message = format!("{}\nthe payment was not sent", failure.message);
            recorded(Failure { message, ..failure }, situation)
        }
        _ => error.into(),
    }
}
