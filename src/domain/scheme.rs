/// A scheme of the x402 protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The payer pays the price of the offer, exactly, once.
    Exact,
}

impl Scheme {
    /// Every scheme, in the order of their numbers in storage.
    pub const ALL: [Scheme; 1] = [Scheme::Exact];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Exact => x402_icp::wire::SCHEME_EXACT,
        }
    }
}
