//! Measured facts about replicas, one test each; the README of this crate has the table.
//!
//! They run against the server named by `POCKET_IC_BIN` and must hold on a real PocketIC server
//! as well as on local-ic.

#[path = "../support/mod.rs"]
mod support;

mod attached_cycles;
mod call_errors;
mod call_fees;
mod callbacks;
mod certified_data;
mod composite_queries;
mod contexts;
mod deadlines;
mod fees;
mod ingress_errors;
mod inspect_message;
mod installing;
mod instances;
mod instructions;
mod lifecycle;
mod limits;
mod logs;
mod management_errors;
mod order;
mod outcalls;
mod queries;
mod rollback;
mod rounds;
mod signatures;
mod status;
mod storage_fees;
mod system_calls;
mod timers;
mod versions;
mod wild_modules;

/// Upgrades to the same code, when the server has room again for the instructions of an installation.
fn upgrade_with(pic: &pocket_ic::PocketIc, id: candid::Principal, arg: &[u8]) {
    for _ in 0..100 {
        match pic.upgrade_canister(id, support::torture_wasm(), arg.to_vec(), None) {
            Err(reject)
                if reject.error_code == pocket_ic::ErrorCode::CanisterInstallCodeRateLimited =>
            {
                pic.tick();
            }
            done => return done.expect("upgraded"),
        }
    }
    panic!("installing is rate limited for good");
}
