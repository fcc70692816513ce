//! Fulfilments: what is owed in return for a payment.

/// What a payer is owed once the money has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fulfilment {
    /// The stored response with this number. It is fixed when the payment is opened: what becomes of the route
    /// afterwards does not change what was bought.
    Stored(u32),
}

impl Fulfilment {
    /// The number of the stored response that is owed, if it is one.
    pub const fn response(self) -> u32 {
        match self {
            Fulfilment::Stored(number) => number,
        }
    }

    /// The kind, without what it is about.
    pub const fn kind(self) -> FulfilmentKind {
        match self {
            Fulfilment::Stored(_) => FulfilmentKind::Stored,
        }
    }
}

/// The kinds of fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FulfilmentKind {
    /// Content that this canister stores.
    Stored,
}

impl FulfilmentKind {
    /// Every kind, in the order of their numbers in storage.
    pub const ALL: [FulfilmentKind; 1] = [FulfilmentKind::Stored];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            FulfilmentKind::Stored => "Stored",
        }
    }
}
