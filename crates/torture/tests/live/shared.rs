//! One live instance for all tests of this file group.

use crate::support::*;
use candid::Principal;
use pocket_ic::PocketIc;
use std::sync::OnceLock;
use torture::program::Op;

/// The certified data of [`Live::plain`].
pub const CERTIFIED: &[u8] = b"certified by the live tests";

/// What the tests need to know about the instance.
pub struct Live {
    /// `http://localhost:PORT/`
    pub url: String,
    pub port: u16,
    /// A torture canister whose HTTP routes are certified.
    pub web: Principal,
    /// Another one, for what a gateway remembers about a canister.
    pub forgetful: Principal,
    /// A torture canister with [`CERTIFIED`] data.
    pub plain: Principal,
    /// A canister with a module but no HTTP interface.
    pub silent: Principal,
    /// A canister without a module.
    pub empty: Principal,
    /// A canister that was deleted.
    pub deleted: Principal,
    pub root_key: Vec<u8>,
    /// Whether the server is local-ic.
    pub ours: bool,
    _instance: std::sync::Mutex<PocketIc>,
}

/// The instance, started by the first test that asks.
pub fn live() -> &'static Live {
    static LIVE: OnceLock<Live> = OnceLock::new();
    LIVE.get_or_init(|| {
        std::thread::spawn(start)
            .join()
            .expect("the instance starts")
    })
}

fn start() -> Live {
    let mut pic = builder()
        .with_nns_subnet()
        .with_application_subnet()
        .build();
    let new = || Canister::torture_on(&pic, 0);
    let (web, forgetful, plain, deleted) = (new(), new(), new(), new());
    for canister in [web, forgetful] {
        canister.run(&[Op::CertifyHttp, Op::Reply]);
    }
    plain.run(&[Op::CertifiedDataSet(CERTIFIED.to_vec().into()), Op::Reply]);
    pic.stop_canister(deleted.id, None).expect("stopped");
    pic.delete_canister(deleted.id, None).expect("deleted");
    let silent = Canister::empty_on(&pic, 0)
        .with_wasm(handmade::module(""))
        .id;
    let empty = Canister::empty_on(&pic, 0).id;
    let ours = is_local_ic(&pic);
    let root_key = pic.root_key().expect("there is an NNS subnet");
    let (web, forgetful, plain, deleted) = (web.id, forgetful.id, plain.id, deleted.id);
    let url = pic.make_live(None);
    Live {
        port: url.port().expect("a port"),
        url: url.to_string(),
        web,
        forgetful,
        plain,
        silent,
        empty,
        deleted,
        root_key,
        ours,
        _instance: std::sync::Mutex::new(pic),
    }
}
