//! Withdrawals: requested, repeated, and what must result from them.

use crate::{
    chain::Block,
    plan::{Again, Step},
    support::{
        interface::{AccountArg, WithdrawArgs, WithdrawError},
        setup::controller,
    },
    world::{Checked, What, World, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{account::Account, transfer::TransferError};
use serde_bytes::ByteBuf;
use test_ledger::testing::{Fault, queue_fault};

/// A withdrawal that was requested, to an account of its own.
pub struct Withdrawal {
    pub from: Account,
    pub ledger: usize,
    pub args: WithdrawArgs,
    /// It has the time of another one, but other terms.
    pub forged: bool,
    /// The block that shows it.
    pub block: Option<u64>,
    /// The block in its first successful answer.
    pub answered: Option<u64>,
    /// The last answer was that it was not made.
    pub denied: bool,
    /// The last answer was that another one is in doubt.
    pub busy: bool,
    /// The time of the first request, in nanoseconds.
    pub asked_at: u64,
}

impl World {
    /// Requests a withdrawal, or repeats one.
    pub fn withdraw(
        &mut self,
        ledger: usize,
        account: usize,
        percent: u64,
        again: Again,
    ) -> Checked {
        let known = self.withdrawals.len();
        let earlier = match again {
            _ if known == 0 => None,
            Again::No => None,
            Again::Last => Some(known - 1),
            // Mostly one of the latest.
            Again::Any(number) | Again::OtherTerms(number) => {
                Some(known - 1 - number % known.min(9))
            }
        };
        let from = self.accounts()[1 + account % 2];
        let balance = self.ledgers[ledger].chain.balance(&from);
        let amount = balance * u128::from(percent) / 100;
        // Sometimes the canister chooses the time.
        let now = self.setup.now_ns();
        let created_at = (!known.is_multiple_of(3)).then_some(now);
        let number = match (again, earlier) {
            (Again::OtherTerms(_), Some(earlier)) => {
                let model = &self.withdrawals[earlier];
                let Some(time) = model.args.created_at_time else {
                    return Ok(());
                };
                let (ledger, from) = (model.ledger, model.from);
                let amount = u128::try_from(&model.args.amount.0).unwrap_or(1) / 2 + 1;
                self.stats.note("withdrawals of one time, with other terms");
                let number = self.new_withdrawal(ledger, from, amount, Some(time));
                self.withdrawals[number].forged = true;
                number
            }
            // The canister chose its time, and has not returned it.
            (_, Some(earlier)) if self.withdrawals[earlier].args.created_at_time.is_none() => {
                return Ok(());
            }
            (_, Some(earlier)) => {
                self.count_repetition(earlier);
                earlier
            }
            (_, None) => self.new_withdrawal(ledger, from, amount, created_at),
        };
        self.ask_to_withdraw(number)
    }

    /// A withdrawal; another one, which the ledger refuses; and the first one again, after the fee changed.
    pub fn withdraw_between(&mut self, ledger: usize, account: usize, fee: u64) -> Checked {
        let from = self.accounts()[1 + account % 2];
        let amount = self.ledgers[ledger].chain.balance(&from) / 20;
        let now = self.setup.now_ns();
        let first = self.new_withdrawal(ledger, from, amount, Some(now));
        self.ask_to_withdraw(first)?;
        let refusal = Fault::transfer_error(TransferError::TemporarilyUnavailable);
        let (method, arg) = queue_fault("icrc1_transfer", 1, &refusal);
        self.ledger_call(ledger, controller(), method, arg);
        self.advance(1)?;
        let now = self.setup.now_ns();
        let second = self.new_withdrawal(ledger, from, amount, Some(now));
        self.ask_to_withdraw(second)?;
        self.play(&Step::LedgerFee { ledger, fee })?;
        self.add_again(ledger)?;
        self.check()?;
        self.count_repetition(first);
        self.ask_to_withdraw(first)
    }

    fn count_repetition(&mut self, number: usize) {
        let model = &self.withdrawals[number];
        let (denied, made) = (model.denied, model.block.is_some());
        let earlier = self.withdrawals[number + 1..]
            .iter()
            .any(|later| later.ledger == model.ledger);
        if denied {
            self.stats.note("refused withdrawals repeated");
        }
        if made {
            self.stats.note("made withdrawals repeated");
        }
        if earlier {
            self.stats.note("earlier withdrawals repeated");
        }
    }

    /// Records a withdrawal that is about to be requested.
    pub fn new_withdrawal(
        &mut self,
        ledger: usize,
        from: Account,
        amount: u128,
        created_at_time: Option<u64>,
    ) -> usize {
        let number = self.withdrawals.len();
        let mut subaccount = [1; 32];
        subaccount[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let to = Account {
            owner: Principal::self_authenticating([55; 32]),
            subaccount: Some(subaccount),
        };
        let args = WithdrawArgs {
            ledger: self.ledgers[ledger].id,
            from_subaccount: from.subaccount.map(|bytes| ByteBuf::from(bytes.to_vec())),
            to: to.into(),
            amount: Nat::from(amount),
            created_at_time,
        };
        self.withdrawals.push(Withdrawal {
            from,
            ledger,
            args,
            forged: false,
            block: None,
            answered: None,
            denied: false,
            busy: false,
            asked_at: self.setup.now_ns(),
        });
        number
    }

    pub fn ask_to_withdraw(&mut self, number: usize) -> Checked {
        self.withdrawals[number].denied = false;
        self.withdrawals[number].busy = false;
        let args = self.withdrawals[number].args.clone();
        let arg = candid::encode_one(args).expect("Candid");
        self.send(controller(), "withdraw", arg, What::Withdraw { number });
        self.settle_down(crate::plan::Send::AndWait)
    }

    /// Checks the canister's answer to a withdrawal.
    pub fn withdrawal_answered(&mut self, number: usize, reply: &[u8]) -> Checked {
        // Unknown errors prove nothing.
        let Ok(result) = candid::decode_one::<Result<Nat, WithdrawError>>(reply) else {
            return Ok(());
        };
        let lied = self.ledgers[self.withdrawals[number].ledger].lied;
        let others = self.pending.iter().any(
            |pending| matches!(pending.what, What::Withdraw { number: other } if other == number),
        );
        let model = &mut self.withdrawals[number];
        let timed = model.args.created_at_time.is_some();
        match result {
            Ok(block) => {
                let block = u64::try_from(&block.0).unwrap_or(u64::MAX);
                let first = *model.answered.get_or_insert(block);
                if first != block && timed && !lied {
                    let text = format!("{:?}: {first}, then {block}", model.args);
                    return violation("another block than the first", text);
                }
            }
            Err(WithdrawError::NotMoved { .. }) => {
                model.denied = !others && timed;
                self.stats.note("withdrawals refused");
            }
            Err(WithdrawError::Unknown { created_at_time }) => {
                // So that it can be repeated.
                model.args.created_at_time.get_or_insert(created_at_time);
                self.stats.note("withdrawals in doubt");
            }
            Err(WithdrawError::InProgress { .. }) => model.busy = true,
            Err(_) => {}
        }
        Ok(())
    }

    /// Checks a block that shows a withdrawal; false if no withdrawal matches it.
    pub fn check_withdrawal(&mut self, ledger: usize, block: &Block) -> Checked<bool> {
        let wanted = self.withdrawals.iter_mut().find(|model| {
            (model.ledger, Some(&model.args.to))
                == (ledger, block.to.map(AccountArg::from).as_ref())
                && block.from == Some(model.from)
                && model.args.amount == block.amount
        });
        let Some(model) = wanted else {
            return Ok(false);
        };
        if let Some(earlier) = model.block.replace(block.index) {
            let text = format!("{:?}: blocks {earlier} and {}", model.args, block.index);
            return violation("double withdrawal", text);
        }
        self.stats.note("withdrawals made");
        let blocks = &self.ledgers[ledger].chain.blocks;
        let same_time = self.withdrawals.iter().find_map(|other| {
            let earlier = other.block.filter(|_| other.ledger == ledger)?;
            let known = blocks.get(earlier as usize)?;
            let same = known.index != block.index && known.created_at == block.created_at;
            same.then(|| format!("{known:?} and {block:?}"))
        });
        match same_time {
            Some(text) => violation("one time, two withdrawals", text),
            None => Ok(true),
        }
    }

    /// The answers to withdrawals agree with the ledgers.
    pub fn check_withdrawals(&self) -> Checked {
        for model in &self.withdrawals {
            let ledger = &self.ledgers[model.ledger];
            if ledger.lied {
                continue;
            }
            if model.denied && model.block.is_some() {
                let text = format!("{:?}: block {:?}", model.args, model.block);
                return violation("withdrawn and denied", text);
            }
            if let Some(answered) = model.answered
                && model.block != Some(answered)
            {
                let text = format!("{:?}: {answered}, not {:?}", model.args, model.block);
                return violation("withdrawn without a block", text);
            }
        }
        Ok(())
    }
}
