//! The page of an invoice, for people: no script, a QR code, and nothing from elsewhere.

use super::request::INVOICES;
use crate::{
    api::types::{Invoice, InvoiceStatus},
    domain::consent::whole_units,
    types::{Amount, TimestampNs},
};
use candid::Nat;
use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};
use std::fmt::Write;

/// The seconds after which an open page asks again.
const REFRESH: u8 = 10;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:34em;margin:2em auto;padding:0 1em}\
    code{word-break:break-all;background:#eee;padding:.1em .3em}svg{width:16em;max-width:100%;background:#fff}\
    dt{font-weight:bold}dd{margin:0 0 .7em}";

/// The page. `id`: in hexadecimal digits.
pub fn page(id: &str, invoice: &Invoice, now: TimestampNs) -> String {
    let tokens = |amount: &Nat| tokens(amount, invoice);
    let returning = invoice.returned.as_ref().is_some_and(|known| known.pending);
    let open = matches!(
        invoice.status,
        InvoiceStatus::Open | InvoiceStatus::Collecting
    );
    let mut page = String::with_capacity(16_384);
    page.push_str("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\">");
    page.push_str("<meta name=\"robots\" content=\"noindex\">");
    if open || returning {
        let _ = write!(page, "<meta http-equiv=\"refresh\" content=\"{REFRESH}\">");
    }
    let _ = write!(page, "<title>Invoice</title><style>{STYLE}</style></head>");
    let _ = write!(
        page,
        "<body><h1>Invoice for {}</h1>",
        escaped(&invoice.path)
    );
    let expiry = utc(TimestampNs(invoice.expires_at), " ", " UTC");
    let _ = match &invoice.status {
        InvoiceStatus::Open if now.0 >= invoice.expires_at => write!(
            page,
            "<p>It has expired. What was paid in time counts; the ledger is being asked.</p>"
        ),
        InvoiceStatus::Open => write!(
            page,
            "<p>Send <b>{}</b> to this account until {expiry}, with a plain transfer. Your wallet's fee for the \
             transfer comes in addition. Send exactly this amount, once. Keep the address of this page to yourself: \
             who has it gets what you pay for.</p>",
            tokens(&invoice.amount)
        ),
        InvoiceStatus::Collecting => write!(
            page,
            "<p>The money has arrived, and is being passed on to the seller. Do not pay again.</p>"
        ),
        InvoiceStatus::Paid { block_index, .. } => write!(
            page,
            "<p>Paid, in block {} of the ledger. Do not pay again.</p>\
             <p><a href=\"{INVOICES}{id}/content\">Fetch what you bought</a></p>",
            digits(block_index)
        ),
        ended => write!(
            page,
            "<p>{} It can be paid no more. {}</p>",
            why(ended),
            back(invoice)
        ),
    };
    if matches!(invoice.status, InvoiceStatus::Open) && now.0 < invoice.expires_at {
        page.push_str(&qr_code(&invoice.account_text));
    }
    page.push_str("<dl>");
    let mut row = |name: &str, value: &str| {
        let _ = write!(
            page,
            "<dt>{name}</dt><dd><code>{}</code></dd>",
            escaped(value)
        );
    };
    row("Account", &invoice.account_text);
    if let Some(identifier) = &invoice.account_identifier {
        row("The same as an account identifier", identifier);
    }
    row("Ledger", &invoice.ledger.to_text());
    row("Amount to send", &tokens_text(&invoice.amount, invoice));
    row(
        "In the account, as far as is known",
        &tokens_text(&invoice.balance, invoice),
    );
    row("Expires", &expiry);
    if let Some(made) = invoice
        .returned
        .as_ref()
        .and_then(|known| known.made.as_ref())
    {
        row("Given back", &tokens_text(&made.amount, invoice));
        row("In block", &digits(&made.block_index));
    }
    page.push_str("</dl></body></html>");
    page
}

/// A number without separators.
pub fn digits(number: &Nat) -> String {
    number.0.to_string()
}

fn why(status: &InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Short => "Too little came in time.",
        InvoiceStatus::NotSold => "The money came, but this is not sold any more at that price.",
        InvoiceStatus::NoRoom => "The money came, but the shop could take no more payments.",
        InvoiceStatus::Refused => {
            "The money came, but the ledger did not pass it on to the seller."
        }
        _ => "No money came in time.",
    }
}

fn back(invoice: &Invoice) -> String {
    match &invoice.refund_to {
        Some(account) => format!(
            "What is in the account, less the ledger's fee, goes back to <code>{}</code>.",
            escaped(&account.to_string())
        ),
        None => "What is in the account can be given back, less the ledger's fee: the method invoice_return of this \
            canister takes the account that it goes to."
            .into(),
    }
}

fn tokens_text(amount: &Nat, invoice: &Invoice) -> String {
    let known = Amount(u128::try_from(&amount.0).unwrap_or(u128::MAX));
    let whole = whole_units(known, invoice.decimals);
    format!("{whole} {}", invoice.symbol)
}

fn tokens(amount: &Nat, invoice: &Invoice) -> String {
    escaped(&tokens_text(amount, invoice))
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The QR code of a text as SVG: a run of dark modules is one rectangle. Empty if the text is too long for one.
fn qr_code(text: &str) -> String {
    const QUIET: i32 = 4;
    let segments = QrSegment::make_segments(text);
    let (least, most) = (Version::MIN, Version::MAX);
    // Comparing all masks costs some ten million instructions. What is encoded is mostly random already.
    let mask = Some(Mask::new(0));
    let ecc = QrCodeEcc::Medium;
    let code = QrCode::encode_segments_advanced(&segments, ecc, least, most, mask, true);
    let Ok(code) = code else {
        return String::new();
    };
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let run = (x..size).take_while(|x| code.get_module(*x, y)).count() as i32;
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run + 1;
        }
    }
    let side = size + 2 * QUIET;
    format!(
        "<p><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" \
         aria-label=\"QR code of the account\" shape-rendering=\"crispEdges\"><path d=\"{path}\"/></svg></p>"
    )
}

/// A time in UTC, to the second: `2026-11-30`, `between`, `18:09:07`, `end`.
pub fn utc(at: TimestampNs, between: &str, end: &str) -> String {
    let seconds = at.seconds();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{end}")
}
