//! Payments by a transfer of the payer's own: the money moves first, and its block is presented.

use crate::{
    calls::{Means, Wish},
    chain::Block,
    plan::Send,
    support::{
        Answer, Request,
        interface::Payment,
        transfer::{self, Offer},
    },
    world::{Auth, Checked, What, World, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{Memo, TransferArg};
use x402_icp::{
    Code, Nonce,
    transfer::{TransferTerms, commitment, transfer_id},
};

/// The longest age of a proof, in seconds.
const MAX_AGE: u64 = 86_400;
/// More than any fee of a ledger: such a transfer is refunded if it buys nothing.
const NO_DUST: u128 = 30_000;

/// A transfer that its payer made.
pub struct Own {
    offer: Offer,
    secret: Nonce,
    pub block: u64,
    /// What the canister returns, if it said so.
    pub returns: Option<u128>,
}

impl Own {
    /// The request with the proof; `secret` of a stranger who has to guess it.
    fn proof(&self, request: &Request, payer: &Auth, secret: Nonce, world: &World) -> Request {
        let from = world.payers[payer.payer].account;
        let header = transfer::header(from, &self.offer, secret, self.block);
        request.clone().payment(&header)
    }
}

impl World {
    /// The payer transfers for an offer that is paid so, and presents the block. `edit`: another amount, or a stranger
    /// who presents the block first.
    pub fn pay_by_transfer(&mut self, wish: Wish, ledger: usize, edit: u64, send: Send) -> Checked {
        let offers = self.transfer_offers(&wish.2);
        if offers.is_empty() {
            return Ok(());
        }
        let offer = offers[ledger % offers.len()].clone();
        let price: u128 = offer.amount.parse().expect("a number");
        let amount = match edit % 10 {
            0 => price.saturating_sub(1).max(1),
            1 => price + 7,
            2 => 1,
            _ => price,
        };
        let asset = Principal::from_text(&offer.asset).expect("an offer names a ledger");
        let ledger = self.ledgers.iter().position(|one| one.id == asset);
        let ledger = ledger.expect("a ledger of this world");
        let secret = Nonce(self.new_nonce());
        let memo = commitment(&TransferTerms::from(&offer), &secret);
        let from = self.payers[wish.0].account;
        let pay_to = offer.pay_to.parse().expect("an account");
        let arg = TransferArg {
            from_subaccount: from.subaccount,
            to: pay_to,
            fee: None,
            created_at_time: Some(self.setup.now_ns()),
            memo: Some(Memo::from(memo.to_vec())),
            amount: Nat::from(amount),
        };
        let arg = candid::encode_one(arg).expect("Candid");
        self.ledger_call(ledger, from.owner, "icrc1_transfer", arg);
        // The payer looks at the ledger, whatever it said.
        self.check()?;
        let blocks = self.ledgers[ledger].chain.blocks.iter().rev();
        let made = blocks
            .take(200)
            .find(|block| block.memo.as_deref() == Some(&memo[..]));
        let Some(block) = made.cloned() else {
            self.stats.note("transfers that were not made");
            return Ok(());
        };
        let seconds = block.timestamp / 1_000_000_000;
        let own = Own {
            offer: offer.clone(),
            secret,
            block: block.index,
            returns: None,
        };
        let id = transfer_id(&offer.network, &offer.asset, block.index, &memo);
        let auth = self.add(Auth {
            ledger,
            pay_to,
            amount,
            created_at: block.timestamp,
            valid_after: seconds,
            valid_before: seconds + MAX_AGE,
            deadline: seconds + MAX_AGE,
            ..Auth::new(id, Means::Transfer(Box::new(own)), wish)
        });
        self.stats.note("transfers");
        if edit == 11 {
            self.rob(auth)?;
        }
        self.present(auth, 1 + usize::from(edit == 12), send)
    }

    /// A stranger presents the block, which the ledger shows, with a secret of his own.
    fn rob(&mut self, auth: usize) -> Checked {
        let secret = Nonce(self.new_nonce());
        let model = &self.auths[auth];
        let Means::Transfer(own) = &model.means else {
            return Ok(());
        };
        let request = own.proof(&model.request, model, secret, self);
        let argument = request.update_argument();
        let sender = self.sender();
        self.send(sender, "http_request_update", argument, What::Robbery);
        self.settle_down(Send::AndWait)
    }

    /// The answer to a stranger.
    pub fn robbed(&mut self, reply: &[u8]) -> Checked {
        self.stats.note("strangers who presented a transfer");
        match Answer::from_update(reply) {
            answer if answer.status == 200 => violation(
                "a stranger's transfer bought something",
                format!("{answer:?}"),
            ),
            _ => Ok(()),
        }
    }

    /// The proof of a transfer as its payer presents it, for this request.
    pub fn proof(&self, auth: usize, request: &Request) -> Option<Request> {
        let model = &self.auths[auth];
        match &model.means {
            Means::Transfer(own) => Some(own.proof(request, model, own.secret, self)),
            _ => None,
        }
    }

    /// The offers of the 402 that are paid by a transfer.
    fn transfer_offers(&self, request: &Request) -> Vec<Offer> {
        let Some(answer) = self.unpaid_answer(request) else {
            return vec![];
        };
        transfer::offers(&answer)
    }

    /// The canister knows the transfer: from now on it owes what was bought, or the money.
    pub fn transfer_known(&mut self, auth: usize) {
        let model = &mut self.auths[auth];
        if let Means::Transfer(own) = &model.means
            && model.block.is_none()
        {
            model.block = Some(own.block);
            self.stats.settled += 1;
        }
    }

    /// What the canister says of a transfer that it knows.
    pub fn check_transfer(&mut self, auth: usize, payment: &Payment) -> Checked {
        self.transfer_known(auth);
        let model = &mut self.auths[auth];
        let returns = u128::try_from(&payment.refund_amount.0).expect("a number of the tests");
        let fee = u128::try_from(&payment.fee.0).expect("a number of the tests");
        match &mut model.means {
            Means::Transfer(own) => {
                if payment.rail != "icrc1"
                    || ![model.amount, model.amount.saturating_sub(fee)].contains(&returns)
                {
                    return violation("not recorded as transferred", format!("{payment:?}"));
                }
                match own.returns.replace(returns) {
                    Some(before) if before != returns => violation(
                        "another refund than before",
                        format!("{before}: {payment:?}"),
                    ),
                    _ => Ok(()),
                }
            }
            Means::Invoice(_) if payment.rail == "invoice" && returns == model.amount => Ok(()),
            _ if payment.rail != "icrc2" || returns != model.amount => {
                violation("not recorded as signed", format!("{payment:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A true proof is refused only for its age, its route's account, dust, or while its ledger is not accepted.
    pub fn check_refused_transfer(&self, auth: usize, code: &str, about: &str) -> Checked {
        let model = &self.auths[auth];
        if !matches!(model.means, Means::Transfer(_)) || self.ledgers[model.ledger].lied {
            return Ok(());
        }
        let code = Code::from_text(code);
        let fair = match code {
            Some(Code::AmountMismatch) => model.amount < NO_DUST,
            Some(Code::RecipientMismatch) => model.pay_to != self.accounts()[0],
            _ => false,
        };
        match fair {
            true => Ok(()),
            false => violation("a true transfer refused", about.to_string()),
        }
    }

    /// Every transfer that can still be presented gets what it bought, or is owed back.
    pub fn claim_transfers(&mut self) -> Checked {
        for auth in 0..self.auths.len() {
            let model = &self.auths[auth];
            let ledger = &self.ledgers[model.ledger];
            let known = model.last.is_some();
            let late = self.setup.now() + 600 > model.valid_before;
            if !matches!(model.means, Means::Transfer(_)) || known || late || ledger.lied {
                continue;
            }
            let accounts = [self.accounts()[0], self.routes[model.route].pay_to];
            let refusable = model.amount < NO_DUST || !accounts.contains(&model.pay_to);
            let no_log = ledger.hides_log;
            self.present(auth, 1, Send::AndWait)?;
            self.check()?;
            let model = &self.auths[auth];
            if model.last.is_none() && !refusable && !no_log {
                let text = format!("{}: {}", model.id, model.answered);
                return violation("a transfer that buys nothing and is not owed", text);
            }
            self.stats.note("transfers presented late");
        }
        Ok(())
    }
}

impl Auth {
    /// The block of a refund may be read before the canister has said what it returns: everything, or less the fee if
    /// the transfer paid no offer.
    pub fn refund_seen(&mut self, block: &Block) {
        let whole = [block.amount, block.amount + block.fee].contains(&self.amount);
        if let Means::Transfer(own) = &mut self.means
            && whole
        {
            own.returns.get_or_insert(block.amount);
        }
    }

    /// What a refund of it returns.
    pub fn returns(&self) -> u128 {
        match &self.means {
            Means::Transfer(own) => own.returns.unwrap_or(self.amount),
            _ => self.amount,
        }
    }

    pub fn is_transfer(&self) -> bool {
        matches!(self.means, Means::Transfer(_))
    }
}
