//! Arguments of the public methods.

use super::support::{offer, pay};
use candid::{Encode, Nat, Principal};
use serde_bytes::ByteBuf;
use tollkeeper::api::{
    http::{HttpRequest, HttpUpdateRequest},
    types::{
        AccountArg, CancelArgs, ContentBegin, ContentChunk, ContentCommit, InitArgs, InvoiceArgs,
        InvoiceReturnArgs, LimitsArg, PageArgs, Price, RouteArgs, RouteKey, TollkeeperArgs,
    },
};
use x402_icp::encode_header;

/// One of each method, behind its number.
pub fn candid_arguments() -> Vec<Vec<u8>> {
    let me = Principal::from_slice(&[1, 2, 3]);
    let account = AccountArg {
        owner: me,
        subaccount: Some(ByteBuf::from(vec![7; 32])),
    };
    let headers = vec![
        ("host".to_string(), "x.icp0.io".to_string()),
        (
            "payment-signature".to_string(),
            encode_header(&pay(
                &offer("icp:1"),
                &ic_ed25519::PrivateKey::deserialize_raw_32(&[1; 32]),
            )),
        ),
    ];
    let route = RouteArgs {
        method: "GET".into(),
        path: "/a/{id}".into(),
        description: "d".into(),
        mime_type: "text/plain".into(),
        prices: vec![Price {
            ledger: me,
            amount: Nat::from(10_000u32),
        }],
        pay_to: Some(account.clone()),
        max_timeout_seconds: Some(60),
        on_sale: true,
        ..RouteArgs::default()
    };
    let init = InitArgs {
        network: Some("icp:1".into()),
        pay_to: Some(account.clone()),
        operators: Some(vec![me]),
        limits: Some(LimitsArg::default()),
    };
    let key = RouteKey {
        method: "GET".into(),
        path: "/a".into(),
    };
    let page = PageArgs {
        after: Some(7),
        limit: Some(10),
    };
    let arguments = [
        Encode!(&HttpRequest {
            method: "GET".into(),
            url: "/a?b".into(),
            headers: headers.clone(),
            body: vec![],
            certificate_version: Some(2),
        }),
        Encode!(&HttpUpdateRequest {
            method: "POST".into(),
            url: "/a".into(),
            headers,
            body: b"body".to_vec(),
        }),
        Encode!(&route),
        Encode!(&Some(TollkeeperArgs::Init(init))),
        Encode!(&key),
        Encode!(&account),
        Encode!(&ContentBegin {
            method: "GET".into(),
            path: "/a".into(),
            bytes: 7,
            sha256: ByteBuf::from(vec![1; 32]),
        }),
        Encode!(&ContentChunk {
            upload: 1,
            offset: 0,
            bytes: ByteBuf::from(vec![1; 7]),
        }),
        Encode!(&ContentCommit { upload: 1 }),
        Encode!(&page),
        Encode!(&Some(page.clone())),
        Encode!(&CancelArgs {
            nonce: ByteBuf::from(vec![1; 32]),
            valid_before_seconds: 1_767_225_600,
        }),
        Encode!(&InvoiceArgs {
            id: ByteBuf::from(vec![1; 32]),
            method: "GET".into(),
            path: "/a".into(),
            ledger: me,
            price: Some(Nat::from(10_000u32)),
            refund_to: Some(account.clone()),
        }),
        Encode!(&InvoiceReturnArgs {
            id: ByteBuf::from(vec![1; 32]),
            ledger: me,
            to: Some(account.clone()),
        }),
        Encode!(&ByteBuf::from(vec![1; 32])),
        Encode!(&me, &true),
    ];
    let arguments = arguments.into_iter().enumerate();
    arguments
        .map(|(method, argument)| {
            let argument = argument.expect("can be encoded");
            [&[method.min(14) as u8], &argument[..]].concat()
        })
        .collect()
}
