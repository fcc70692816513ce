//! Responses, and those that must never occur.

use crate::{
    support::{Answer, interface::CancelError},
    world::{Checked, Pending, What, World, violation},
};
use pocket_ic::{RejectCode, RejectResponse};
use x402_icp::Code;

impl World {
    /// Checks the responses that have arrived.
    pub fn poll(&mut self) -> Checked {
        let waiting = std::mem::take(&mut self.pending);
        let mut ended = Vec::new();
        for pending in waiting {
            match self.setup.pic.ingress_status(pending.message.clone()) {
                Some(end) => ended.push((pending, end)),
                None => self.pending.push(pending),
            }
        }
        for (pending, end) in ended {
            self.answered(pending, end)?;
        }
        Ok(())
    }

    fn answered(&mut self, pending: Pending, end: Result<Vec<u8>, RejectResponse>) -> Checked {
        if let (What::Refund { auth }, Err(_)) = (&pending.what, &end) {
            // It may have been done nevertheless.
            self.auths[*auth].approved = true;
        }
        let reply = match end {
            Ok(reply) => reply,
            Err(reject) if reject.reject_message.contains("trapped for a test") => {
                self.stats.traps += 1;
                return Ok(());
            }
            // Stopped, frozen, or upgraded meanwhile: the payer repeats the request.
            Err(_) if pending.excused || !self.answers() => return Ok(()),
            Err(reject) if reject.reject_code == RejectCode::CanisterError => {
                return violation("trap", reject.to_string());
            }
            Err(reject) => return violation("rejected", reject.to_string()),
        };
        match pending.what {
            What::Http {
                auth,
                request,
                right,
                moved,
            } => {
                let answer = Answer::from_update(&reply);
                let key = format!("{} {}", request.method, request.url);
                self.http(auth, &key, &answer, right, moved)
            }
            What::Call { auth, sent } => {
                let answer = candid::decode_one(&reply).expect("a reply of pay");
                self.called(auth, &sent, answer)
            }
            What::Robbery => self.robbed(&reply),
            What::Cancel { auth } => {
                let result: Result<(), CancelError> =
                    candid::decode_one(&reply).expect("a reply of cancel_authorization");
                // A failed payment may be cancelled, too; neither is charged any more.
                self.auths[auth].cancelled |= result.is_ok();
                if result.is_ok() {
                    self.stats.note("cancelled");
                }
                Ok(())
            }
            What::Refund { auth } => {
                let result: crate::settle::Refunded =
                    candid::decode_one(&reply).expect("a reply of refund_payment");
                self.auths[auth].approved |= result.is_ok();
                if result.is_ok() && self.is_strangers(&self.auths[auth].pay_to) {
                    self.stats.note("refunds of a stranger's money approved");
                }
                Ok(())
            }
            What::Resolve { auth, moved } => self.resolved(auth, moved, &reply),
            What::Invoice { number, asked } => self.invoice_answered(number, &asked, &reply),
            What::Withdraw { number } => self.withdrawal_answered(number, &reply),
            What::Admin => Ok(()),
        }
    }

    /// Content was delivered for a payment. `right`: with the request that the payment is for.
    pub fn delivered(
        &mut self,
        auth: usize,
        key: &str,
        body: &[u8],
        right: bool,
        about: String,
    ) -> Checked {
        self.stats.delivered += 1;
        self.transfer_known(auth);
        let entry = &mut self.auths[auth];
        entry.delivered.insert((key.to_string(), body.to_vec()));
        let mut requests = entry.delivered.iter().map(|(request, _)| request);
        if requests.any(|request| request != key) {
            return violation("one payment for two requests", about);
        }
        if entry.delivered.len() > 1 {
            return violation("another answer than the first", about);
        }
        let entry = &self.auths[auth];
        let route = &self.routes[entry.route];
        let known = match self.is_work(entry) {
            true => self.is_answer(entry, body),
            false => (1..=route.version).any(|version| content(route.template, version) == body),
        };
        if right && !known {
            return violation("wrong content", about);
        }
        Ok(())
    }

    fn http(
        &mut self,
        auth: usize,
        key: &str,
        answer: &Answer,
        right: bool,
        moved: bool,
    ) -> Checked {
        let entry = &mut self.auths[auth];
        let id = entry.id.to_string();
        let about = || {
            format!(
                "payment {id} ({key}): status {}, {:?}, {:?}, body {:?}",
                answer.status,
                answer.payment_response(),
                answer.payment_required().and_then(|offers| offers.error),
                String::from_utf8_lossy(&answer.body)
            )
        };
        let response = answer.payment_response();
        entry.answered = about();
        if answer.status == 200 {
            if !response.is_some_and(|response| response.success) {
                return violation("delivered without a receipt", about());
            }
            return self.delivered(auth, key, &answer.body, right, about());
        }
        if answer.body.starts_with(b"content of ") {
            return violation("delivered unpaid", about());
        }
        let required = answer.payment_required();
        if let (None, Some(offers)) = (&response, &required) {
            let code = offers.error.clone().unwrap_or_default();
            let code = code.split([':', ' ']).next().unwrap_or_default();
            self.stats.note(&format!("refused: {code}"));
            if right {
                let text = about();
                self.check_refused_transfer(auth, code, &text)?;
                if !self.refused.contains(&auth) {
                    self.refused.push(auth);
                }
            }
        }
        match (response, required) {
            (Some(_), Some(_)) => violation("outcome and offers", about()),
            (Some(response), None) => {
                if response.success && answer.status != 410 {
                    return violation("success without content", about());
                }
                let pending = Code::SettlementPending.as_str();
                if response.error_reason.as_deref() == Some(pending) && response.transaction != id {
                    return violation("pending without the payment id", about());
                }
                Ok(())
            }
            // A payer who finds offers signs again, and pays twice.
            (None, Some(_)) if right && moved => violation("asked to pay again", about()),
            _ => Ok(()),
        }
    }
}

/// The content of a route.
pub fn content(template: &str, version: u32) -> Vec<u8> {
    format!("content of {template}, version {version}.").into_bytes()
}
