//! `pay`.

pub mod delivery;
pub mod watch;

use super::{
    Common,
    accounts::{decimals, known},
    content::Target,
    exit::Failure,
    files,
    journal::{self, Kept},
    output::Output,
    request::{RequestArgs, readable},
    signals::Situation,
    status, text,
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tollkeeper_client::{
    Amount, Identity, Network, Outcome, PayError, Payer, PaymentId, Request, SignedPayment,
    parse_units,
};
use watch::watch;

/// The longest patience, in seconds: a week, which is how long a canister delivers for the same payment.
const MAX_PATIENCE: u64 = 7 * 24 * 3_600;

#[derive(Debug, Args)]
pub struct PayArgs {
    /// The resource.
    url: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
    /// The payment identifier, for sellers that accept one (`payment-identifier`): 16 to 128 letters, digits, `-` and
    /// `_` [default: a random one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Approve the collecting canister if it may not collect enough yet: for AMOUNT, or for exactly this payment; for
    /// one hour. Never more than --max-amount and the ledger's fee, and only the canister of the URL's host or
    /// --spender.
    #[arg(long, num_args = 0..=1, value_name = "AMOUNT")]
    approve: Option<Option<String>>,
    /// Write the content to a file instead of standard output, once it is complete. Content goes to standard output
    /// unchanged; binary content goes to a terminal with `-o -` only.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many seconds to wait for an outcome that is not known yet, sending the same payment again.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=MAX_PATIENCE), value_name = "SECONDS")]
    patience: u64,
    /// Keep a copy of the payment in this file until its end. An existing file is never changed: one that contains a
    /// payment for the same request is resumed, any other is refused.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Send a recorded payment again instead of requesting an offer: by its id, or by a file that contains it.
    #[arg(long, value_name = "ID|FILE", conflicts_with_all = ["url", "approve", "id", "save"])]
    resume: Option<String>,
    /// The block of the transfer, if it was found elsewhere: it is compared with the ledger and presented.
    #[arg(long, requires = "resume", value_name = "NUMBER")]
    block: Option<u64>,
    /// Look the payment's block up on the ledger afterwards.
    #[arg(long)]
    check: bool,
}

/// The purchase to make.
enum Purchase {
    /// A request, with the payment in the file of `--save` that was made for it.
    New(Box<Request>, Option<Box<SignedPayment>>),
    /// A payment that was made before.
    Kept(Box<SignedPayment>),
}

impl Purchase {
    /// The id of a payment that was made before. For a request: one that is recorded for the same method and URL.
    fn made_before(&self, kept: &Kept) -> Result<Option<String>, Failure> {
        Ok(match self {
            Purchase::Kept(payment) => Some(payment.payment_id.clone()),
            Purchase::New(_, Some(payment)) => Some(payment.payment_id.clone()),
            Purchase::New(request, None) => {
                let same = |payment: &SignedPayment| {
                    payment.method == request.method
                        && [Some(&payment.url), payment.asked_url.as_ref()]
                            .contains(&Some(&request.url))
                };
                kept.entries()?
                    .into_iter()
                    .find(|entry| same(&entry.payment))
                    .map(|entry| entry.payment.payment_id)
            }
        })
    }
}

/// Gets a resource, and pays for it if necessary.
pub async fn run(
    args: &PayArgs,
    common: &Common,
    output: &Output,
    situation: &Situation,
) -> Result<(), Failure> {
    // Errors in the command line are found before any request is sent.
    common.check()?;
    let request = args.request()?;
    args.check()?;
    let identity = common.identity()?;
    let folder = common.payments()?;
    let kept = Kept::open(&folder)?;
    let purchase = args.purchase(request, &kept, output)?;
    let target = Target::open(
        args.output.as_deref(),
        &args.other_files(common),
        &folder,
        output,
    )?;
    situation.update(|known| known.part = target.part().map(Path::to_path_buf));
    let network = common.network(&identity).await;
    // A payment that was made before may have been sent.
    let network = match purchase.made_before(&kept)? {
        Some(id) => network.map_err(|failure| delivery::still_unknown(failure, &id))?,
        None => network?,
    };
    let payer = args
        .payer(identity, network, &kept, output, situation)
        .await?;
    let outcome = match purchase {
        Purchase::Kept(payment) => resend(&payer, &payment, args.block).await,
        Purchase::New(request, Some(payment)) => {
            if !payment.keys().contains(&payer.key(&request)) {
                return Err(not_this_request(args.save.as_deref(), &payment));
            }
            output.note(format!(
                "payment {} in the file of --save is for this request: resuming it",
                payment.payment_id
            ));
            payer.send(&payment).await.map(Outcome::Paid)
        }
        Purchase::New(request, None) => payer.pay(&request).await,
    };
    match outcome {
        Ok(Outcome::Free(response)) => delivery::free(target, output, &response),
        Ok(Outcome::Paid(paid)) => {
            let hand_over = delivery::HandOver {
                payer: &payer,
                kept: &kept,
                output,
                situation,
                keep: args
                    .other_files(common)
                    .into_iter()
                    .map(|(_, f)| f)
                    .collect(),
                check: args.check,
            };
            hand_over.run(target, *paid).await
        }
        Err(error) => Err(delivery::not_bought(error, situation)),
    }
}

/// Sends a payment that was made before; a transfer with the block that was named for it.
async fn resend(
    payer: &Payer,
    payment: &SignedPayment,
    block: Option<u64>,
) -> Result<Outcome, PayError> {
    let named = match block {
        Some(block) if payment.has_no_block() => payer.name_block(payment, block).await?,
        _ => payment.clone(),
    };
    payer.send(&named).await.map(Outcome::Paid)
}

fn not_this_request(file: Option<&Path>, payment: &SignedPayment) -> Failure {
    let file = file.map(text::path).unwrap_or_default();
    Failure::usage(format!(
        "--save {file}: it contains payment {} for another request; it is not changed. Name a file that does not exist",
        payment.payment_id
    ))
}

impl PayArgs {
    fn check(&self) -> Result<(), Failure> {
        self.request.check()?;
        if self.resume.is_some() && self.request.is_given() {
            return Err(Failure::usage(
                "--resume sends a payment that was made: method, body, --asset and --max-amount cannot change",
            ));
        }
        if let Some(Some(amount)) = &self.approve {
            readable(amount, self.request.only_asset().map_or(Some(6), known))?;
        }
        if let (Some(save), Some(content)) = (&self.save, &self.output)
            && files::same(save, content)
        {
            return Err(Failure::usage(format!(
                "-o {} and --save {} are the same file",
                text::path(content),
                text::path(save)
            )));
        }
        match &self.save {
            Some(save) if save.as_os_str().is_empty() => Err(Failure::usage("--save has no value")),
            Some(save) if !files::folder(save).is_dir() => Err(Failure::usage(format!(
                "--save {}: there is no folder {}",
                text::path(save),
                text::path(&files::folder(save))
            ))),
            _ => Ok(()),
        }
    }

    fn request(&self) -> Result<Option<Request>, Failure> {
        match (&self.url, &self.resume) {
            (Some(url), _) => {
                let request = self.request.request(url)?;
                Ok(Some(match &self.id {
                    Some(id) => request
                        .with_payment_identifier(id)
                        .map_err(Failure::usage)?,
                    None => request,
                }))
            }
            (None, Some(_)) => Ok(None),
            (None, None) => match &self.approve {
                Some(Some(url)) if url.contains("://") => Err(Failure::usage(
                    "say what to pay for: a URL (before --approve, which takes what follows as its amount)",
                )),
                _ => Err(Failure::usage("say what to pay for: a URL")),
            },
        }
    }

    /// Finds the payment to send, if it was made before.
    fn purchase(
        &self,
        request: Option<Request>,
        kept: &Kept,
        output: &Output,
    ) -> Result<Purchase, Failure> {
        match (request, &self.resume, &self.save) {
            (Some(request), _, None) => Ok(Purchase::New(Box::new(request), None)),
            (Some(request), _, Some(save)) => match std::fs::symlink_metadata(save) {
                Err(_) => {
                    kept.save_to(save);
                    Ok(Purchase::New(Box::new(request), None))
                }
                Ok(metadata) if !metadata.is_file() => Err(Failure::usage(format!(
                    "--save {}: it exists and is not a regular file; it is not changed",
                    text::path(save)
                ))),
                Ok(_) => {
                    let payment = journal::read(save).map_err(|failure| {
                        let message = format!("--save {}; it is not changed", failure.message);
                        Failure { message, ..failure }
                    })?;
                    copy(kept, save, &payment, output);
                    Ok(Purchase::New(Box::new(request), Some(Box::new(payment))))
                }
            },
            (None, resume, _) => {
                let named = resume.as_deref().unwrap_or_default();
                let mut payment = kept_payment(named, kept, output)?;
                // Secret headers are not stored.
                for (name, value) in &self.request.headers {
                    payment
                        .headers
                        .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
                    payment.headers.push((name.clone(), value.clone()));
                }
                Ok(Purchase::Kept(Box::new(payment)))
            }
        }
    }

    /// Files that the content must not replace.
    fn other_files(&self, common: &Common) -> Vec<(&'static str, PathBuf)> {
        let key = common.identity_file().map(|file| ("the payer's key", file));
        let save = self.save.clone().map(|file| ("--save", file));
        let resume = self
            .resume
            .as_ref()
            .map(|file| ("--resume", PathBuf::from(file)));
        [key, save, resume].into_iter().flatten().collect()
    }

    async fn payer(
        &self,
        identity: Identity,
        network: Network,
        kept: &Kept,
        output: &Output,
        situation: &Situation,
    ) -> Result<Payer, Failure> {
        let controls = match &self.resume {
            Some(_) => Default::default(),
            None => self.request.controls(&network).await?,
        };
        let (shown, known) = (output.clone(), situation.clone());
        let mut payer = Payer::new(identity, network.clone())?
            .with_limits(self.request.time_and_bytes())?
            .with_journal(Arc::new(kept.clone()))
            .with_spend_controls(controls)
            .with_ways(self.request.by.unwrap_or_default())
            .with_patience(Duration::from_secs(self.patience))
            .with_watcher(move |step| watch(step, &shown, &known));
        if let Some(subaccount) = self.request.subaccount {
            payer = payer.with_subaccount(subaccount);
        }
        if let Some(spender) = self.request.spender {
            payer = payer.with_spender(spender);
        }
        if let Some(amount) = &self.approve {
            let amount = match amount {
                Some(text) => Some(self.approval(&network, text).await?),
                None => None,
            };
            payer = payer.with_approval(amount);
        }
        Ok(payer)
    }

    /// The amount of an approval: in the token that is paid with, in dollars if none or several are named.
    async fn approval(&self, network: &Network, text: &str) -> Result<Amount, Failure> {
        let decimals = match self.request.only_asset() {
            Some(ledger) => decimals(network, ledger).await?,
            None => 6,
        };
        parse_units(text, decimals).map_err(Failure::usage)
    }
}

/// Finds a recorded payment by its id or in a file.
pub fn kept_payment(named: &str, kept: &Kept, output: &Output) -> Result<SignedPayment, Failure> {
    let file = Path::new(named);
    let id: Option<PaymentId> = named.parse().ok();
    match id {
        Some(id) if std::fs::symlink_metadata(file).is_err() => {
            let entry = status::recorded(kept, id)?;
            entry
                .map(|entry| entry.payment)
                .ok_or_else(|| status::not_recorded(id))
        }
        _ => {
            let payment = journal::read(file)?;
            copy(kept, file, &payment, output);
            Ok(payment)
        }
    }
}

/// Registers a file that is removed with its payment.
fn copy(kept: &Kept, file: &Path, payment: &SignedPayment, output: &Output) {
    if journal::is_open_to_others(file) {
        output.say(format!(
            "warning: others can read {}, and use the payment in it",
            text::path(file)
        ));
    }
    if let Some(id) = payment.id() {
        kept.is_copy(file, id);
    }
}
