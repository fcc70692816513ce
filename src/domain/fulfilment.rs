//! Fulfilments: what is owed in return for a payment.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fulfilment {
    /// The stored response with this number. It is fixed when the payment is opened: later changes of the route do not
    /// change what was bought.
    Stored(u32),
}

impl Fulfilment {
    /// The number of the stored response that is owed.
    pub const fn response(self) -> u32 {
        match self {
            Fulfilment::Stored(number) => number,
        }
    }

    pub const fn kind(self) -> FulfilmentKind {
        match self {
            Fulfilment::Stored(_) => FulfilmentKind::Stored,
        }
    }
}

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
