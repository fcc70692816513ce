use super::*;

fn field<'a>(value: &'a ICRC3Value, key: &str) -> Option<&'a ICRC3Value> {
    match value {
        ICRC3Value::Map(map) => map.get(key),
        other => panic!("no map: {other}"),
    }
}

#[test]
fn should_chain_blocks_of_every_kind() {
    let ledger = Pocket::new();
    ledger
        .approve(payer(), approve_arg(shop(), FUNDS))
        .expect("an approval");
    let mut arg = transfer_from_arg(payer(), merchant(), 50_000);
    arg.fee = Some(Nat::from(FEE));
    arg.memo = Some(Memo::from(vec![9; 32]));
    ledger.transfer_from(shop(), arg).expect("a transfer");
    ledger
        .transfer(payer(), transfer_arg(merchant(), 1))
        .expect("a transfer");
    ledger
        .transfer(merchant(), transfer_arg(minter(), FEE))
        .expect("a burn");

    let log = ledger.blocks(0, 10);
    assert_eq!(log.log_length, 5_u8);
    assert!(log.archived_blocks.is_empty());
    let kinds = ["1mint", "2approve", "2xfer", "1xfer", "1burn"];
    let ops = ["mint", "approve", "xfer", "xfer", "burn"];
    let mut parent = None;
    for (index, entry) in log.blocks.iter().enumerate() {
        assert_eq!(entry.id, Nat::from(index));
        let tx = field(&entry.block, "tx").expect("a tx");
        assert_eq!(
            field(tx, "op"),
            Some(&ICRC3Value::Text(ops[index].to_string()))
        );
        if !is_foreign() {
            assert_eq!(
                field(&entry.block, "btype"),
                Some(&ICRC3Value::Text(kinds[index].to_string()))
            );
        }
        assert_eq!(field(&entry.block, "phash"), parent.as_ref());
        let hash = entry.block.clone().hash();
        parent = Some(ICRC3Value::Blob(serde_bytes::ByteBuf::from(hash)));
    }
    // The fee stands in the transaction if it was sent, beside it if not.
    let (sent, unsent) = (&log.blocks[2].block, &log.blocks[3].block);
    let fee = Some(ICRC3Value::Nat(Nat::from(FEE)));
    let tx_fee = |block| field(field(block, "tx").expect("a tx"), "fee").cloned();
    assert_eq!((tx_fee(sent), field(sent, "fee")), (fee.clone(), None));
    assert_eq!((tx_fee(unsent), field(unsent, "fee").cloned()), (None, fee));
}

#[test]
fn should_page_at_100_blocks_and_have_no_archives() {
    let ledger = Pocket::new();
    for _ in 0..120 {
        ledger
            .transfer(minter(), transfer_arg(merchant(), 1))
            .expect("a mint");
    }
    assert_eq!(ledger.blocks(0, 1_000).blocks.len(), 100);
    let rest = ledger.blocks(100, 1_000);
    assert_eq!(rest.blocks.len(), 21);
    assert_eq!(rest.log_length, 121_u8);
    assert!(ledger.blocks(121, 5).blocks.is_empty());
    let archives: GetArchivesResult =
        ledger.query("icrc3_get_archives", (GetArchivesArgs { from: None },));
    assert!(archives.is_empty());
}

#[test]
fn should_certify_the_tip() {
    let ledger = Pocket::new();
    ledger
        .transfer(payer(), transfer_arg(merchant(), 1))
        .expect("a transfer");
    ledger.pic.tick();
    let tip: Option<ICRC3DataCertificate> = ledger.query("icrc3_get_tip_certificate", ());
    let tip = tip.expect("a certificate");
    let tree: HashTree = serde_cbor::from_slice(&tip.hash_tree).expect("a hash tree");
    let certificate: ic_certification::Certificate =
        serde_cbor::from_slice(&tip.certificate).expect("a certificate");
    let path: [&[u8]; 3] = [b"canister", ledger.id.as_slice(), b"certified_data"];
    match certificate.tree.lookup_path(path) {
        LookupResult::Found(certified) => assert_eq!(certified, tree.digest()),
        other => panic!("no certified data: {other:?}"),
    }
    let newest = ledger.blocks(1, 1).blocks.remove(0).block.hash();
    match tree.lookup_path([b"last_block_hash".as_slice()]) {
        LookupResult::Found(hash) => assert_eq!(hash, newest),
        other => panic!("no hash: {other:?}"),
    }
    match tree.lookup_path([b"last_block_index".as_slice()]) {
        LookupResult::Found(index) => assert_eq!(index, [1]),
        other => panic!("no index: {other:?}"),
    }
}
