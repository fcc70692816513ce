//! A canister in memory that sells by `pay`, with its ledger, and whose replies can be lost.

use crate::{
    error::LedgerError,
    ledger::{
        Billed, Block, Clean, Found, Promised, Quoted, Rail, Search, Standing, Status, Wanted,
    },
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use serde_bytes::ByteBuf;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tollkeeper_types::{PayArgs, PayError, Purchased, Receipt, RouteKey};
use x402_icp::{
    Account, Amount, Nonce, PaymentId,
    call::{CallParts, call_payment_id},
};

/// What becomes of one call of `pay`.
#[derive(Clone, Debug)]
pub enum Word {
    /// As the canister does.
    Sold,
    /// The call is processed, and the reply is lost.
    LostAfter,
    /// The call is not processed, and no reply comes.
    LostBefore,
    /// The call is processed, and no reply ever comes.
    SilentAfter,
    /// The call is processed, and the reply comes after this many milliseconds.
    SlowAfter(u64),
    /// No reply comes, and the call is processed after this many milliseconds, if its time is not over.
    Late(u64),
    /// Recorded, and the ledger's answer is lost: the next call settles it.
    Pending,
    /// Refused by this call, if the payment is not known.
    Refused(&'static str),
    /// The ledger refuses the transfer, if the payment is not known.
    Failed(&'static str),
    /// It was delivered too long ago.
    Duplicate,
}

/// Called before and after the canister processes a call.
type Watch = Box<dyn Fn(&str) + Send + Sync>;
type Script = Box<dyn Fn(usize) -> Word + Send + Sync>;
type Forge = Box<dyn Fn(&mut Receipt) + Send + Sync>;
type Called<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub type Replied = Result<Purchased, PayError>;

#[derive(Default)]
struct Books {
    /// Every call as it arrived, with the time until which the network keeps it.
    sent: Vec<(PayArgs, Option<u64>)>,
    known: BTreeMap<[u8; 32], Status>,
    /// The payment of each block.
    blocks: Vec<(PaymentId, PayArgs)>,
    /// The ids whose end the canister has told to somebody.
    told: Vec<[u8; 32]>,
}

pub struct Till {
    caller: Principal,
    script: Script,
    watch: Watch,
    books: Mutex<Books>,
    /// How long a call may begin a payment, in seconds.
    pub seconds: AtomicU64,
    /// How far the subnet's clock is ahead of this machine's, in seconds.
    pub ahead: AtomicI64,
    /// What the path costs, if it is not what was sent over HTTP.
    pub quoted: Mutex<Option<Result<Vec<Quoted>, String>>>,
    /// What the ledger's log shows, if it is not what happened.
    pub log: Mutex<Option<Clean>>,
    /// What the canister says of a payment, if it is not what happened.
    pub record: Mutex<Option<Result<Standing, String>>>,
    /// What the canister replies, whatever happened.
    pub says: Mutex<Option<Replied>>,
    /// What a receipt has in it that is not so.
    pub forge: Mutex<Option<Forge>>,
}

impl Till {
    /// Answers the n-th call by the script.
    pub fn open(
        caller: Principal,
        script: impl Fn(usize) -> Word + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::watched(caller, script, |_| {})
    }

    pub fn watched(
        caller: Principal,
        script: impl Fn(usize) -> Word + Send + Sync + 'static,
        watch: impl Fn(&str) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Till {
            caller,
            script: Box::new(script),
            watch: Box::new(watch),
            books: Mutex::default(),
            seconds: AtomicU64::new(60),
            ahead: AtomicI64::new(0),
            quoted: Mutex::default(),
            log: Mutex::default(),
            record: Mutex::default(),
            says: Mutex::default(),
            forge: Mutex::default(),
        })
    }

    /// The calls that arrived.
    pub fn sent(&self) -> Vec<(PayArgs, Option<u64>)> {
        self.books.lock().unwrap().sent.clone()
    }

    /// The different payments among them.
    pub fn different(&self) -> usize {
        let mut all: Vec<PayArgs> = Vec::new();
        for (args, _) in self.sent() {
            if !all.contains(&args) {
                all.push(args);
            }
        }
        all.len()
    }

    /// The payments whose money moved, each with its block.
    pub fn moved(&self) -> Vec<(PaymentId, PayArgs)> {
        self.books.lock().unwrap().blocks.clone()
    }

    /// Whether the canister has told the end of the payment with these arguments.
    pub fn told(&self, args: &PayArgs) -> bool {
        let id = self.id(args).0;
        self.books.lock().unwrap().told.contains(&id)
    }

    pub fn id(&self, args: &PayArgs) -> PaymentId {
        let number = |nat: &Nat| Amount(u128::try_from(&nat.0).unwrap());
        call_payment_id(&CallParts {
            canister: Principal::from_text(super::SPENDER).unwrap(),
            caller: self.caller,
            id: &Nonce(args.id.to_vec().try_into().unwrap()),
            from: &self.payer(args),
            pay_to: &args.pay_to.owner.into(),
            ledger: args.ledger,
            amount: number(&args.amount),
            fee: number(&args.fee),
            created_at_time: args.created_at_time,
            method: &args.method,
            path: &args.path,
        })
    }

    fn payer(&self, args: &PayArgs) -> Account {
        let subaccount = args.from_subaccount.as_ref();
        Account {
            owner: self.caller,
            subaccount: subaccount.map(|bytes| bytes.to_vec().try_into().unwrap()),
        }
    }

    /// The time of the subnet, in nanoseconds since 1970-01-01.
    fn now(&self) -> u64 {
        let now = i64::try_from(crate::journal::now()).unwrap();
        u64::try_from(now + self.ahead.load(Ordering::SeqCst)).unwrap() * 1_000_000_000
    }

    /// Processes a call as the canister does; `word` says what the ledger does, or that the canister refuses.
    fn process(&self, args: &PayArgs, word: &Word) -> Replied {
        let id = self.id(args);
        let payment_id = ByteBuf::from(id.0.to_vec());
        let now = self.now();
        let mut books = self.books.lock().unwrap();
        self.begin(&mut books, id, args, word, now)?;
        if let Status::Failed { code } = &books.known[&id.0] {
            let (code, message) = (code.clone(), "the ledger says no".into());
            return Err(PayError::Failed {
                payment_id,
                code,
                message,
            });
        }
        if let Status::Unknown {} = &books.known[&id.0] {
            books.blocks.push((id, args.clone()));
            // A refusal that the caller has not heard ended nothing.
            books.told.retain(|other| *other != id.0);
            let block_index = (books.blocks.len() - 1).into();
            books.known.insert(id.0, Status::Delivered { block_index });
        }
        let receipt = self.receipt(&books, id, args);
        match word {
            Word::Duplicate => Err(PayError::Duplicate {
                payment_id,
                receipt: Some(Box::new(receipt)),
            }),
            _ => Ok(Purchased {
                receipt,
                mime_type: "text/plain".into(),
                body: ByteBuf::from(super::CONTENT.to_vec()),
            }),
        }
    }

    /// Records a payment that is not known.
    fn begin(
        &self,
        books: &mut Books,
        id: PaymentId,
        args: &PayArgs,
        word: &Word,
        now: u64,
    ) -> Result<(), PayError> {
        if books.known.contains_key(&id.0) {
            return Ok(());
        }
        let refused = |code: &str| PayError::Refused {
            code: code.into(),
            message: "not now".into(),
        };
        let over = now / 1_000_000_000
            >= args.created_at_time / 1_000_000_000 + self.seconds.load(Ordering::SeqCst);
        let state = match word {
            _ if over => return Err(refused("invalid_exact_icp_expired")),
            Word::Refused(code) => return Err(refused(code)),
            Word::Failed(code) => Status::Failed {
                code: (*code).into(),
            },
            _ => Status::Unknown {},
        };
        books.known.insert(id.0, state);
        match word {
            Word::Pending => Err(PayError::Pending {
                payment_id: ByteBuf::from(id.0.to_vec()),
            }),
            _ => Ok(()),
        }
    }

    fn receipt(&self, books: &Books, id: PaymentId, args: &PayArgs) -> Receipt {
        let block = books.blocks.iter().position(|(other, _)| *other == id);
        let mut receipt = Receipt {
            payment_id: ByteBuf::from(id.0.to_vec()),
            network: "icp:1".into(),
            ledger: args.ledger,
            block_index: block.unwrap().into(),
            payer: Some(self.payer(args)),
            pay_to: args.pay_to.owner.into(),
            amount: args.amount.clone(),
            fee: args.fee.clone(),
            method: Some(args.method.clone()),
            path: Some(args.path.clone()),
            settled_at: self.now(),
        };
        if let Some(forge) = &*self.forge.lock().unwrap() {
            forge(&mut receipt);
        }
        receipt
    }

    /// The reply, which tells the end of the payment if it is one.
    fn reply(&self, args: &PayArgs, is_first: bool, replied: Replied) -> Replied {
        let ends = match &replied {
            Ok(_) => self.forge.lock().unwrap().is_none(),
            Err(PayError::Failed { .. }) => true,
            Err(PayError::Refused { .. }) => is_first,
            Err(_) => false,
        };
        if ends {
            let id = self.id(args).0;
            self.books.lock().unwrap().told.push(id);
        }
        replied
    }
}

/// A till that is shared with the calls that are still on their way.
pub struct Open(pub Arc<Till>);

impl Rail for Open {
    fn quote<'a>(
        &'a self,
        _: Principal,
        _: RouteKey,
        like: &'a Quoted,
    ) -> Called<'a, Result<(Vec<Quoted>, u64), String>> {
        let quoted = self.0.quoted.lock().unwrap().clone();
        Box::pin(async move { Ok((quoted.unwrap_or(Ok(vec![like.clone()]))?, self.0.now())) })
    }

    fn pay<'a>(
        &'a self,
        _: Principal,
        args: &'a PayArgs,
        expires: Option<u64>,
    ) -> Called<'a, Result<Replied, String>> {
        let till = self.0.clone();
        let (number, is_first) = {
            let mut books = till.books.lock().unwrap();
            let is_first = books.sent.iter().all(|(sent, _)| sent != args);
            books.sent.push((args.clone(), expires));
            (books.sent.len() - 1, is_first)
        };
        let word = (till.script)(number);
        Box::pin(async move {
            tokio::task::yield_now().await;
            (till.watch)("before the call");
            let lost = || Err("the reply is lost".to_string());
            if let Word::LostBefore = word {
                return lost();
            }
            if let Word::Late(pause) = word {
                let args = args.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    if expires.is_none_or(|until| till.now() <= until) {
                        let _ = till.process(&args, &Word::Sold);
                    }
                });
                return lost();
            }
            let replied = till.process(args, &word);
            match word {
                Word::LostAfter => return lost(),
                Word::SilentAfter => std::future::pending().await,
                Word::SlowAfter(pause) => tokio::time::sleep(Duration::from_millis(pause)).await,
                _ => {}
            }
            (till.watch)("after the call");
            if let Some(said) = till.says.lock().unwrap().clone() {
                return Ok(said);
            }
            Ok(till.reply(args, is_first, replied))
        })
    }

    fn payment(&self, _: Principal, id: PaymentId) -> Called<'_, Result<Standing, String>> {
        let scripted = self.0.record.lock().unwrap().clone();
        let known = self.0.books.lock().unwrap().known.get(&id.0).cloned();
        let now = self.0.now();
        Box::pin(async move { scripted.unwrap_or(Ok((known, now))) })
    }

    fn clean<'a>(&'a self, _: Principal, search: &'a Search<'a>) -> Called<'a, Clean> {
        let scripted = self.0.log.lock().unwrap().clone();
        let moved = self.0.moved();
        let block = moved.iter().position(|(id, _)| *id == search.payment);
        Box::pin(async move {
            match (scripted, block) {
                (Some(scripted), _) => scripted,
                (None, None) => Clean::Yes,
                (None, Some(block)) => Clean::No(crate::ledger::Taken {
                    block: block.try_into().unwrap(),
                    by_this_payment: true,
                }),
            }
        })
    }

    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>> {
        let moved = self.0.moved();
        Box::pin(async move {
            let found = moved.get(usize::try_from(index).unwrap());
            let (id, args) = found.ok_or(LedgerError::NoBlock {
                ledger,
                index: index.to_string(),
            })?;
            Ok(Block {
                from: self.0.payer(args).into(),
                to: Account::from(args.pay_to.owner).into(),
                spender: Some(Account::from(Principal::from_text(super::SPENDER).unwrap()).into()),
                amount: Amount(u128::try_from(&args.amount.0).unwrap()),
                memo: Some(id.0.to_vec()),
                fee: None,
                timestamp: None,
            })
        })
    }

    fn transfer<'a>(
        &'a self,
        _: Principal,
        _: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>> {
        unreachable!("nothing is paid by transfer here")
    }

    fn find<'a>(&'a self, _: Principal, _: &'a Wanted) -> Called<'a, Found> {
        unreachable!("nothing is paid by transfer here")
    }

    fn offers<'a>(
        &'a self,
        _: Principal,
        _: RouteKey,
        _: &'a Promised,
    ) -> Called<'a, Result<(Vec<Promised>, u64), String>> {
        unreachable!("nothing is paid by transfer here")
    }
    fn fee(&self, _: Principal) -> Called<'_, Result<Amount, LedgerError>> {
        unreachable!("no invoice is paid here")
    }

    fn invoice(&self, _: Principal, _: [u8; 32]) -> Called<'_, Result<Billed, String>> {
        unreachable!("no invoice is paid here")
    }
}
