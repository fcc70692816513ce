//! Purchases: what is bought, and through which interface.

use crate::types::RouteKey;

/// What is bought, and through which interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purchase {
    /// An HTTP resource: the method and the path of the request, not the template of the route. The path is at most
    /// [`MAX_PATH_BYTES`](crate::domain::template::MAX_PATH_BYTES) long.
    Route(RouteKey),
    /// The same, bought by a call of the Candid method `pay`.
    Call(RouteKey),
}

impl Purchase {
    /// The requested method and path.
    pub fn request(&self) -> &RouteKey {
        match self {
            Purchase::Route(request) | Purchase::Call(request) => request,
        }
    }

    pub const fn kind(&self) -> PurchaseKind {
        match self {
            Purchase::Route(_) => PurchaseKind::Route,
            Purchase::Call(_) => PurchaseKind::Call,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurchaseKind {
    /// An HTTP resource.
    Route,
    /// An HTTP resource, bought by a Candid call.
    Call,
}

impl PurchaseKind {
    /// Every kind, in the order of their numbers in storage.
    pub const ALL: [PurchaseKind; 2] = [PurchaseKind::Route, PurchaseKind::Call];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            PurchaseKind::Route => "Route",
            PurchaseKind::Call => "Call",
        }
    }
}
