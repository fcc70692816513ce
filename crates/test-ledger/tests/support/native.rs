//! The ledger without a canister: rules on stable structures in plain memory.

use candid::{Nat, Principal};
use ic_stable_structures::DefaultMemoryImpl;
use icrc_ledger_types::icrc1::account::Account;
use test_ledger::domain::{
    Allowance, ApproveRefusal, ApproveRequest, Block, Books, Config, Tip, TransferRefusal,
    TransferRequest, rules,
};
use test_ledger::storage::Ledger;
use test_ledger::testing::LedgerInit;

pub fn account(n: u8) -> Account {
    Account::from(Principal::from_slice(&[n; 10]))
}

pub fn sub(n: u8, subaccount: [u8; 32]) -> Account {
    Account {
        subaccount: Some(subaccount),
        ..account(n)
    }
}

pub fn minter() -> Account {
    account(0xff)
}

pub struct Native {
    memory: DefaultMemoryImpl,
    ledger: Ledger,
    config: Config,
    pub now: u64,
}

impl Native {
    pub fn new(fee: u128, now: u64, balances: &[(Account, u128)]) -> Self {
        let init = LedgerInit::new("TST", "Test", minter()).fee(fee).args();
        let config = Config::from_init(&init).expect("a good argument");
        let memory = DefaultMemoryImpl::default();
        let mut ledger = Ledger::open(memory.clone());
        ledger.set_config(config.clone());
        let mut native = Self {
            memory,
            ledger,
            config,
            now,
        };
        for (account, amount) in balances {
            let mut mint = native.transfer_request(0, 0, *amount);
            (mint.from, mint.to) = (minter(), *account);
            native.apply(mint).expect("a mint");
        }
        native
    }

    /// Forgets everything that is not in stable memory.
    pub fn reopen(&mut self) {
        self.ledger = Ledger::open(self.memory.clone());
        self.config = Config::clone(&self.ledger.config());
    }

    pub fn set_fee(&mut self, fee: u128) {
        self.config.transfer_fee = fee;
        self.ledger.set_config(self.config.clone());
    }

    pub fn transfer_request(&self, from: u8, to: u8, amount: u128) -> TransferRequest {
        TransferRequest {
            from: account(from),
            to: account(to),
            spender: None,
            amount: Nat::from(amount),
            fee: None,
            memo: None,
            created_at_time: None,
        }
    }

    pub fn transfer_from_request(
        &self,
        spender: u8,
        from: u8,
        to: u8,
        amount: u128,
    ) -> TransferRequest {
        TransferRequest {
            spender: Some(account(spender)),
            ..self.transfer_request(from, to, amount)
        }
    }

    pub fn approve_request(&self, from: u8, spender: u8, amount: u128) -> ApproveRequest {
        ApproveRequest {
            from: account(from),
            spender: account(spender),
            amount: Nat::from(amount),
            expected_allowance: None,
            expires_at: None,
            fee: None,
            memo: None,
            created_at_time: None,
        }
    }

    pub fn apply(&mut self, request: TransferRequest) -> Result<u64, TransferRefusal> {
        rules::transfer(&mut self.ledger, &self.config, request, self.now)
    }

    pub fn apply_in_order(
        &mut self,
        request: TransferRequest,
        order: rules::CheckOrder,
    ) -> Result<u64, TransferRefusal> {
        rules::transfer_in_order(&mut self.ledger, &self.config, request, self.now, order)
    }

    pub fn apply_approve(&mut self, request: ApproveRequest) -> Result<u64, ApproveRefusal> {
        rules::approve(&mut self.ledger, &self.config, request, self.now)
    }

    pub fn transfer(&mut self, from: u8, to: u8, amount: u128) -> Result<u64, TransferRefusal> {
        self.apply(self.transfer_request(from, to, amount))
    }

    pub fn transfer_from(
        &mut self,
        spender: u8,
        from: u8,
        to: u8,
        amount: u128,
    ) -> Result<u64, TransferRefusal> {
        self.apply(self.transfer_from_request(spender, from, to, amount))
    }

    pub fn approve(&mut self, from: u8, spender: u8, amount: u128) -> Result<u64, ApproveRefusal> {
        self.apply_approve(self.approve_request(from, spender, amount))
    }

    pub fn balance(&self, n: u8) -> u128 {
        self.ledger.balance(&account(n))
    }

    pub fn balance_of(&self, account: &Account) -> u128 {
        self.ledger.balance(account)
    }

    pub fn allowance(&self, from: u8, spender: u8) -> Allowance {
        self.ledger
            .allowance(&account(from), &account(spender), self.now)
    }

    pub fn allowance_of(&self, from: &Account, spender: &Account) -> Allowance {
        self.ledger.allowance(from, spender, self.now)
    }

    pub fn supply(&self) -> u128 {
        self.ledger.total_supply()
    }

    pub fn tip(&self) -> Option<Tip> {
        self.ledger.tip()
    }

    pub fn remembered(&self) -> u64 {
        self.ledger.remembered()
    }

    pub fn blocks(&self) -> Vec<Block> {
        (0..self.ledger.log_length())
            .map(|index| self.ledger.block(index).expect("a block below the length"))
            .collect()
    }
}
