//! Payers that transfer by themselves (`icrc1`).

use super::{
    gateway::{Answer, Request},
    setup::Setup,
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{Memo, TransferArg, TransferError},
};
use x402_icp::{
    Nonce, PaymentId, encode_header,
    transfer::{TransferTerms, commitment, transfer_id},
    wire::{
        ExactIcrc1Extra, ExactIcrc1Payload, METHOD_ICRC1, METHOD_ICRC2, PaymentPayload,
        PaymentRequirements, X402_VERSION,
    },
};

pub type Offer = PaymentRequirements<ExactIcrc1Extra>;

/// The offers of a 402 that are paid by a transfer.
pub fn offers(answer: &Answer) -> Vec<Offer> {
    let all = answer.all_offers().map(|required| required.accepts);
    let all = all.unwrap_or_default().into_iter();
    let own = all.filter(|offer| offer.extra["assetTransferMethod"] == METHOD_ICRC1);
    own.map(|offer| {
        let extra = serde_json::from_value(offer.extra.clone()).expect("of a transfer");
        offer.map_extra(|_| extra)
    })
    .collect()
}

/// The last offer of the 402 of `GET path`, which is by transfer.
pub fn offer(setup: &Setup, path: &str) -> Offer {
    let answer = setup.get(path);
    let all = answer.all_offers().expect("a 402 has offers").accepts;
    let methods: Vec<_> = all
        .iter()
        .map(|offer| offer.extra["assetTransferMethod"].clone())
        .collect();
    assert_eq!(methods, [METHOD_ICRC2, METHOD_ICRC1]);
    offers(&answer).remove(0)
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

/// The header with the proof.
pub fn header(from: Account, offer: &Offer, secret: Nonce, block: u64) -> String {
    encode_header(&PaymentPayload {
        x402_version: X402_VERSION,
        resource: None,
        accepted: offer.clone(),
        payload: ExactIcrc1Payload {
            from: from.to_string(),
            block_index: block.to_string(),
            secret: secret.to_string(),
        },
        extensions: None,
    })
}

/// The request for `GET path` with the proof.
pub fn proof(path: &str, from: Account, offer: &Offer, secret: u8, block: u64) -> Request {
    Request::get(path).payment(&header(from, offer, Nonce([secret; 32]), block))
}

/// The id of the payment.
pub fn id(offer: &Offer, secret: u8, block: u64) -> PaymentId {
    transfer_id(&offer.network, &offer.asset, block, &memo(offer, secret))
}
