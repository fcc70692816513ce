//! The certification tree, and the only code that sets the canister's 32 certified bytes.
//!
//! The tree is on the heap and rebuilt from storage after an upgrade, together with the bytes. A change of one route
//! replaces the entries of that route (the stale ones are removed first) and the bytes.
//!
//! As soon as a payment has settled, the log of receipts is certified beside the tree, under a label of its own. The
//! log is in storage and may be longer than what is certified, for as long as a message waits for a call. So the
//! certified length is kept, and proofs are made for it.

use super::{
    catalogue::{ARCHITECTURE, Seller},
    proof,
    site::{Found, Site},
    static_response::{Body, StaticResponse},
    types::HttpResponse,
};
use crate::{domain::receipt_log::Witness, runtime::Runtime, storage};
use ic_certification::{Hash, fork_hash, labeled_hash};
use ic_http_certification::{CERTIFICATE_EXPRESSION_HEADER_NAME, CERTIFICATE_HEADER_NAME};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use x402_icp::{jws::DID_PATH, receipt::LABEL};

thread_local! {
    /// The site that is certified now; a cache of storage, rebuilt at upgrades.
    static SITE: RefCell<Site> = RefCell::new(Site::default());
    /// What the certified bytes are made of.
    static CERTIFIED: Cell<Certified> = Cell::default();
}

/// The two roots that are certified, and the number of receipts.
#[derive(Clone, Copy, Debug, Default)]
struct Certified {
    site: Hash,
    receipts: u64,
    /// `None` if there is no receipt.
    log: Option<Hash>,
}

impl Certified {
    /// The log in the tree, as one hash.
    fn sibling(&self) -> Option<Hash> {
        self.log.map(|root| labeled_hash(LABEL.as_bytes(), &root))
    }

    fn root_hash(&self) -> Hash {
        match self.sibling() {
            Some(sibling) => fork_hash(&self.site, &sibling),
            None => self.site,
        }
    }
}

/// Certifies this root of the site, and the receipts that there are.
fn certify<R: Runtime>(runtime: &R, site: Hash) {
    let (receipts, log) = storage::payments::receipts_root();
    let certified = Certified {
        site,
        receipts,
        log,
    };
    runtime.set_certified_data(&certified.root_hash());
    CERTIFIED.set(certified);
}

/// The seller according to the running canister and its settings.
pub fn seller<R: Runtime>(runtime: &R) -> Seller {
    let config = storage::config::read();
    Seller {
        canister: runtime.canister_id(),
        network: config.network,
        origin: config.origin,
    }
}

/// The most routes that one message certifies for a change which is not of the routes themselves. Each takes up to ten
/// million instructions. A message that executes more than two billion delays the canister's others for more than a
/// round.
const STEP: usize = 128;

/// Certifies all responses. For `init` and `post_upgrade`, which may execute 300 billion instructions.
pub fn certify_all<R: Runtime>(runtime: &R) {
    storage::changes::take();
    let seller = seller(runtime);
    let mut site = Site::default();
    let routes = storage::routes::all();
    let own = [ARCHITECTURE, DID_PATH].map(|path| {
        let routes = seller.site_routes(path, &[]);
        (path.to_string(), routes)
    });
    let of_seller = routes
        .chunk_by(|a, b| a.key.path == b.key.path)
        .map(|at_path| {
            let path = at_path[0].key.path.clone();
            let routes = seller.site_routes(&path, at_path);
            (path, routes)
        });
    site.set_all(own.into_iter().chain(of_seller));
    certify(runtime, site.root_hash());
    SITE.replace(site);
}

/// Certifies what has changed in storage since the last call. Called at the end of every message that may have changed
/// routes, contents, ledgers or the configuration, or settled a payment.
///
/// A change of many offers, such as a ledger's new fee, is certified in steps: the first here, the others in later
/// messages of the timer. Meanwhile queries return some old offers with a valid proof. A payment for one of them is
/// refused, and the refusal has the new offers.
pub fn certify_changes<R: Runtime>(runtime: &R) {
    // The DID document names the origin.
    let all = || [storage::routes::paths(), vec![DID_PATH.into()]].concat();
    let (paths, more) = storage::changes::take_some(STEP, all);
    if more {
        runtime.wake_soon();
    }
    if paths.is_empty() {
        let certified = CERTIFIED.get();
        if storage::payments::receipts_root().0 != certified.receipts {
            certify(runtime, certified.site);
        }
        return;
    }
    let seller = seller(runtime);
    SITE.with_borrow_mut(|site| {
        site.set_all(paths.into_iter().map(|path| {
            let routes = seller.site_routes(&path, &storage::routes::at_path(&path));
            (path, routes)
        }));
        certify(runtime, site.root_hash());
    });
}

/// Reads the certified site.
pub fn with_site<T>(look: impl FnOnce(&Site) -> T) -> T {
    SITE.with_borrow(look)
}

/// The response to a request without a payment, without a proof: for update calls.
pub fn unpaid(method: &str, path: &str) -> Rc<StaticResponse> {
    with_site(|site| site.answer(method, path))
}

/// The query's response with its proof; `None` if its content was removed.
pub fn respond<R: Runtime>(
    runtime: &R,
    site: &Site,
    found: &Found<'_>,
    path: &str,
) -> Option<HttpResponse> {
    let mut response = plain_response(found.answer())?;
    // There is no certificate when a query is called as an update; the subnet signs that response.
    if let Some(certificate) = runtime.data_certificate() {
        certify_response(&mut response, site, found, path, &certificate)?;
    }
    Some(response)
}

/// Adds the two headers of response verification.
pub(super) fn certify_response(
    response: &mut HttpResponse,
    site: &Site,
    found: &Found<'_>,
    path: &str,
    certificate: &[u8],
) -> Option<()> {
    let sibling = CERTIFIED.get().sibling();
    let proof = site.certificate_header(found, path, certificate, sibling.as_ref())?;
    let expression = found.expression(site).to_string();
    response
        .headers
        .push((CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(), expression));
    response
        .headers
        .push((CERTIFICATE_HEADER_NAME.to_string(), proof));
    Some(())
}

/// The certified tree with everything pruned but the receipt with this index, as CBOR; `None` if it is not certified yet.
pub(super) fn receipt_witness(index: u64, receipt: &Hash) -> Option<Vec<u8>> {
    let certified = CERTIFIED.get();
    let mut tree = proof::Tree::default();
    tree.fork();
    tree.pruned(&certified.site);
    tree.labeled(LABEL.as_bytes());
    storage::payments::receipt_witness(index, receipt, certified.receipts, &mut tree)?;
    Some(tree.into_bytes())
}

/// The response with its body; `None` if the content was removed.
pub fn plain_response(answer: &StaticResponse) -> Option<HttpResponse> {
    let body = match &answer.body {
        Body::Empty => Vec::new(),
        Body::Json(text) => text.as_bytes().to_vec(),
        Body::Content(content) => storage::content::read(content)?,
    };
    let mut headers = Vec::with_capacity(answer.headers.len() + 2);
    headers.extend_from_slice(&answer.headers);
    Some(HttpResponse {
        status_code: answer.status,
        headers,
        body,
        upgrade: None,
    })
}
