use super::*;
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc3::archive::{GetArchivesArgs, ICRC3ArchiveInfo};
use icrc_ledger_types::icrc3::blocks::{BlockWithId, GetBlocksRequest, GetBlocksResult};
use support::pocket::own_wasm;
use test_ledger::testing::{LedgerInit, decode_moved, log_reply, move_to_archive};

/// A ledger of `blocks` blocks.
fn ledger_of(blocks: u64) -> Pocket {
    let ledger = ledger();
    for amount in 2..blocks {
        let arg = transfer_arg(merchant(), u128::from(amount));
        let sent: Result<Nat, TransferError> =
            ledger.update(support::pocket::minter(), "icrc1_transfer", (arg,));
        sent.expect("a mint");
    }
    ledger
}

fn archive(ledger: &Pocket) -> Principal {
    let pic = &ledger.pic;
    let id = pic.create_canister();
    pic.add_cycles(id, support::pocket::CYCLES);
    pic.install_canister(id, own_wasm(), LedgerInit::archive().encode(), None);
    id
}

fn archive_up_to(ledger: &Pocket, archive: Principal, count: u64) -> Result<u64, String> {
    let (method, arg) = move_to_archive(archive, count);
    let reply = ledger
        .pic
        .update_call(ledger.id, Principal::anonymous(), method, arg);
    decode_moved(&reply.expect("a reply"))
}

fn blocks_of(ledger: &Pocket, id: Principal, requests: Vec<GetBlocksRequest>) -> GetBlocksResult {
    let arg = candid::encode_one(requests).expect("encodes");
    let anonymous = Principal::anonymous();
    let reply = ledger
        .pic
        .query_call(id, anonymous, "icrc3_get_blocks", arg);
    candid::decode_one(&reply.expect("a reply")).expect("blocks")
}

/// The whole log, as a reader gets it who follows the callbacks.
fn whole_log(ledger: &Pocket) -> Vec<BlockWithId> {
    let mut log = Vec::new();
    loop {
        let page = ledger.blocks(log.len() as u64, 1_000);
        let length = page.log_length.clone();
        let mut found = page.blocks;
        for archived in page.archived_blocks {
            assert_eq!(archived.callback.method, "icrc3_get_blocks");
            let theirs = blocks_of(ledger, archived.callback.canister_id, archived.args);
            assert!(theirs.archived_blocks.is_empty());
            found.extend(theirs.blocks);
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        assert!(
            !found.is_empty(),
            "the log ends at {} of {length}",
            log.len()
        );
        log.extend(found);
        if length == log.len() {
            return log;
        }
    }
}

fn assert_chained(log: &[BlockWithId]) {
    let mut parent = None;
    for (index, entry) in log.iter().enumerate() {
        assert_eq!(entry.id, Nat::from(index));
        let ICRC3Value::Map(map) = &entry.block else {
            panic!("no map: {}", entry.block);
        };
        assert_eq!(map.get("phash"), parent.as_ref(), "block {index}");
        parent = Some(ICRC3Value::Blob(entry.block.clone().hash().to_vec().into()));
    }
}

#[test]
fn should_keep_one_log_over_two_archives() {
    let ledger = ledger_of(130);
    let before = whole_log(&ledger);
    let (first, second) = (archive(&ledger), archive(&ledger));
    assert_eq!(archive_up_to(&ledger, first, 30), Ok(30));
    assert_eq!(archive_up_to(&ledger, first, 20), Ok(50));
    assert_eq!(archive_up_to(&ledger, second, 70), Ok(120));
    assert_eq!(
        archive_up_to(&ledger, first, 5),
        Err("archive: the next block here is 50, not 120".into())
    );

    let page = ledger.blocks(0, 1_000);
    assert!(page.blocks.is_empty(), "they are not here any more");
    assert_eq!(page.log_length, 130_u8);
    assert_eq!(whole_log(&ledger), before);
    assert_chained(&before);

    let archives = |from| -> Vec<ICRC3ArchiveInfo> {
        ledger.query("icrc3_get_archives", (GetArchivesArgs { from },))
    };
    let info = |canister_id, start: u64, end: u64| ICRC3ArchiveInfo {
        canister_id,
        start: start.into(),
        end: end.into(),
    };
    assert_eq!(archives(None), [info(first, 0, 49), info(second, 50, 119)]);
    assert_eq!(archives(Some(first)), [info(second, 50, 119)]);

    // New blocks go on from there, and everything outlives an upgrade.
    let sent: Result<Nat, TransferError> =
        ledger.update(payer(), "icrc1_transfer", (transfer_arg(merchant(), 1),));
    assert_eq!(sent, Ok(Nat::from(130_u8)));
    ledger
        .upgrade(candid::encode_args(()).unwrap())
        .expect("an upgrade");
    let after = whole_log(&ledger);
    assert_eq!(after.len(), 131);
    assert_chained(&after);
}

#[test]
fn should_lie_about_its_log_on_request() {
    let ledger = ledger();
    let lie = log_reply(Nat::from(1_000_000_u32), vec![], vec![]);
    ledger.queue_fault("icrc3_get_blocks", 1, &lie);
    assert_eq!(ledger.blocks(0, 10).log_length, 1_000_000_u32);
    ledger.test_update::<()>("test_clear_faults", ());
    assert_eq!(ledger.blocks(0, 10).log_length, 2_u8);
}
