//! Payers that transfer by themselves (`icrc1`).

use super::{gateway::Request, setup::Setup};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{Memo, TransferArg, TransferError},
};
use serde_json::Value;
use x402_icp::{
    Nonce, PaymentId,
    decode::decode_header,
    encode_header,
    transfer::{TransferTerms, commitment, transfer_id},
    wire::{
        ExactIcrc1Extra, ExactIcrc1Payload, PAYMENT_REQUIRED, PaymentPayload, PaymentRequired,
        PaymentRequirements, X402_VERSION,
    },
};

pub type Offer = PaymentRequirements<ExactIcrc1Extra>;

/// The last offer of the 402 of `GET path`, which is by transfer.
pub fn offer(setup: &Setup, path: &str) -> Offer {
    let answer = setup.get(path);
    let header = answer.header(PAYMENT_REQUIRED).expect("a 402 has offers");
    let required: PaymentRequired<Value> =
        decode_header(PAYMENT_REQUIRED, header.as_bytes()).expect("it can be read");
    let methods: Vec<_> = required
        .accepts
        .iter()
        .map(|offer| {
            offer.extra["assetTransferMethod"]
                .as_str()
                .unwrap_or_default()
        })
        .collect();
    assert_eq!(methods, ["icrc2", "icrc1"]);
    let last = required.accepts.last().expect("an offer").clone();
    let extra = serde_json::from_value(last.extra.clone()).expect("of a transfer");
    last.map_extra(|_| extra)
}

/// A payer with money, and without an allowance.
pub fn payer(setup: &Setup, n: u8) -> Account {
    let account = Account {
        owner: Principal::self_authenticating([n; 32]),
        subaccount: Some([n; 32]),
    };
    setup.ledger.mint(setup, account, 1_000_000);
    setup.watch(account, 1_000_000);
    account
}

fn memo(offer: &Offer, secret: u8) -> [u8; 32] {
    commitment(&TransferTerms::from(offer), &Nonce([secret; 32]))
}

/// Transfers `amount` to the offer's account. Returns the block.
pub fn transfer(setup: &Setup, from: Account, offer: &Offer, secret: u8, amount: u128) -> u64 {
    let to: Account = offer.pay_to.parse().expect("an account");
    let arg = TransferArg {
        from_subaccount: from.subaccount,
        to,
        fee: None,
        created_at_time: Some(setup.now_ns()),
        memo: Some(Memo::from(memo(offer, secret).to_vec())),
        amount: Nat::from(amount),
    };
    let block: Result<Nat, TransferError> =
        setup.update_at(setup.ledger.0, from.owner, "icrc1_transfer", (arg,));
    let block = block.expect("the transfer is made");
    u64::try_from(block.0).expect("a block number")
}

/// The request for `GET path` with the proof.
pub fn proof(path: &str, from: Account, offer: &Offer, secret: u8, block: u64) -> Request {
    let payment = PaymentPayload {
        x402_version: X402_VERSION,
        resource: None,
        accepted: offer.clone(),
        payload: ExactIcrc1Payload {
            from: from.to_string(),
            block_index: block.to_string(),
            secret: Nonce([secret; 32]).to_string(),
        },
        extensions: None,
    };
    Request::get(path).payment(&encode_header(&payment))
}

/// The id of the payment.
pub fn id(offer: &Offer, secret: u8, block: u64) -> PaymentId {
    transfer_id(&offer.network, &offer.asset, block, &memo(offer, secret))
}
