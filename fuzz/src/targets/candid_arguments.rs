//! Candid arguments of the public methods, decoded as the canister decodes them, and the filter that sees
//! them first.
//!
//! Layout: which method, then the argument. What is decoded can be encoded, and is then decoded as the same;
//! of an update's argument nothing is lost on the way; what is converted keeps the limits that its row in
//! stable memory has.

use crate::world::Controller;
use candid::{
    CandidType, DecoderConfig, IDLArgs, Principal,
    types::value::{IDLField, IDLValue, VariantValue},
    utils::{ArgumentDecoder, ArgumentEncoder, decode_args_with_config, encode_args},
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::fmt::Debug;
use tollkeeper::{
    api::{
        arguments::{self, Arguments},
        http::{HttpRequest, HttpUpdateRequest, invoices},
        inspect,
        types::{
            self, AccountArg, CancelArgs, ContentBegin, ContentChunk, ContentCommit, InvoiceArgs,
            InvoiceReturnArgs, PageArgs, RouteArgs, RouteKey, TollkeeperArgs,
        },
    },
    domain::{route::MAX_PRICES, template::MAX_PATH_BYTES},
};

pub fn run(data: &[u8]) {
    let Some((&method, argument)) = data.split_first() else {
        return;
    };
    let runtime = Controller::default();
    for name in [
        "http_request_update",
        "route_put",
        "content_chunk",
        "payment",
        "invoice_create",
        "invoice_return",
    ] {
        let _ = inspect::accept(&runtime, name, argument.len(), || argument.to_vec());
    }
    match method % 15 {
        0 => request::<HttpRequest>(argument),
        1 => request::<HttpUpdateRequest>(argument),
        2 => {
            let Some((args,)) = decode::<(RouteArgs,)>(argument) else {
                return;
            };
            if let Ok(draft) = types::draft(args) {
                assert!(draft.key.path.len() <= MAX_PATH_BYTES);
                assert!(draft.prices.len() <= MAX_PRICES);
            }
        }
        3 => {
            if let Some((Some(TollkeeperArgs::Init(args) | TollkeeperArgs::Upgrade(args)),)) =
                decode::<(Option<TollkeeperArgs>,)>(argument)
            {
                let _ = types::init_changes(args);
            }
        }
        4 => {
            if let Some((key,)) = decode::<(RouteKey,)>(argument)
                && let Ok(key) = types::route_key(&key)
            {
                assert!(key.path.len() <= MAX_PATH_BYTES);
            }
        }
        5 => {
            if let Some((account,)) = decode::<(AccountArg,)>(argument)
                && let Ok(checked) = types::account("pay_to", &account)
            {
                assert_eq!(checked.owner, account.owner);
            }
        }
        6 => drop(decode::<(ContentBegin,)>(argument)),
        7 => drop(decode::<(ContentChunk,)>(argument)),
        8 => drop(decode::<(ContentCommit,)>(argument)),
        9 => drop(decode::<(PageArgs,)>(argument)),
        10 => drop(decode::<(Option<PageArgs>,)>(argument)),
        11 => drop(decode::<(CancelArgs,)>(argument)),
        12 => {
            if let Some((args,)) = decode::<(InvoiceArgs,)>(argument)
                && let Ok((id, terms)) = invoices::read(&args)
            {
                assert_eq!(id.0[..], args.id[..]);
                assert!(terms.request.path.len() <= MAX_PATH_BYTES);
            }
        }
        13 => drop(decode::<(InvoiceReturnArgs,)>(argument)),
        _ => {
            let _ = decode::<(ByteBuf,)>(argument);
            let _ = decode::<(Principal, bool)>(argument);
        }
    }
}

/// What is read of a gateway's request can be written, and is then read as the same.
fn request<T: CandidType + DeserializeOwned + Debug + PartialEq>(argument: &[u8]) {
    let Ok(decoded) = arguments::read_request::<T>(argument) else {
        return;
    };
    let encoded = candid::encode_one(&decoded).expect("what was decoded can be encoded");
    assert_eq!(arguments::read_request::<T>(&encoded), Ok(decoded));
}

/// As the entry points of the canister decode.
fn decode<T>(argument: &[u8]) -> Option<T>
where
    T: Arguments + for<'a> ArgumentDecoder<'a> + ArgumentEncoder + Clone + Debug + PartialEq,
{
    let decoded: T = arguments::read(argument, arguments::QUERY).ok()?;
    let encoded = encode_args(decoded.clone()).expect("what was decoded can be encoded");
    let again = arguments::read(&encoded, arguments::UPDATE);
    assert_eq!(again.as_ref(), Ok(&decoded));
    let mut config = DecoderConfig::new();
    config.set_skipping_quota(10_000);
    if !argument.is_empty() {
        let slow: T = decode_args_with_config(argument, &config).expect("the crate reads it too");
        assert_eq!(slow, decoded);
    }
    if arguments::read::<T>(argument, arguments::UPDATE).is_ok() {
        let values = |bytes| IDLArgs::from_bytes(bytes).expect("values").args;
        let (given, read) = (values(argument), values(&encoded));
        let present = |values: Vec<IDLValue>| values.into_iter().map(present).collect::<Vec<_>>();
        assert_eq!(present(given), present(read));
    }
    Some(decoded)
}

/// The value without what is absent: an optional value and the value itself are the same.
fn present(value: IDLValue) -> Option<IDLValue> {
    Some(match value {
        IDLValue::None | IDLValue::Null | IDLValue::Reserved => return None,
        IDLValue::Opt(value) => return present(*value),
        IDLValue::Service(id) => IDLValue::Principal(id),
        IDLValue::Blob(bytes) if bytes.is_empty() => IDLValue::Vec(vec![]),
        IDLValue::Vec(values) => IDLValue::Vec(values.into_iter().filter_map(present).collect()),
        IDLValue::Record(members) => {
            let members = members.into_iter().filter_map(|member| {
                let val = present(member.val)?;
                Some(IDLField { val, ..member })
            });
            IDLValue::Record(members.collect())
        }
        IDLValue::Variant(VariantValue(member, _)) => {
            let val = present(member.val).unwrap_or(IDLValue::Null);
            let member = IDLField { val, ..*member };
            IDLValue::Variant(VariantValue(Box::new(member), 0))
        }
        other => other,
    })
}
