//! Fulfilments: what is owed in return for a payment.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fulfilment {
    /// The stored response with this number. It is fixed when the payment is opened: later changes of the route do not
    /// change what was bought.
    Stored(u32),
    /// The answer of another canister to the request, after it has done the work that was paid for. Target and request
    /// are fixed when the payment is opened.
    Forward,
    /// Nothing: what was paid pays no offer, and is refunded.
    Nothing,
}

impl Fulfilment {
    /// The number of the stored response that is owed, if one is.
    pub const fn response(self) -> Option<u32> {
        match self {
            Fulfilment::Stored(number) => Some(number),
            Fulfilment::Forward => None,
            Fulfilment::Nothing => None,
        }
    }

    pub const fn kind(self) -> FulfilmentKind {
        match self {
            Fulfilment::Stored(_) => FulfilmentKind::Stored,
            Fulfilment::Forward => FulfilmentKind::Forward,
            Fulfilment::Nothing => FulfilmentKind::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FulfilmentKind {
    /// Content that this canister stores.
    Stored,
    /// The answer of another canister.
    Forward,
    /// Nothing is owed in return, but the money.
    Nothing,
}

impl FulfilmentKind {
    /// Every kind, in the order of their numbers in storage.
    pub const ALL: [FulfilmentKind; 3] = [
        FulfilmentKind::Stored,
        FulfilmentKind::Forward,
        FulfilmentKind::Nothing,
    ];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            FulfilmentKind::Stored => "Stored",
            FulfilmentKind::Forward => "Forward",
            FulfilmentKind::Nothing => "Nothing",
        }
    }
}
