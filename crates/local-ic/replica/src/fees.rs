//! Prices in cycles (facts B of crates/torture/README.md), given for a subnet of 13 nodes and scaled with the subnet's size.

use local_ic_engine::Cycles;

use crate::types::SubnetConfig;

/// Instructions an update, callback, timer or heartbeat may use.
pub const UPDATE_INSTRUCTIONS: u64 = 40_000_000_000;
/// Instructions a query, composite query or replicated query may use.
pub const QUERY_INSTRUCTIONS: u64 = 5_000_000_000;
/// Instructions `canister_inspect_message` may use.
pub const INSPECT_INSTRUCTIONS: u64 = 200_000_000;
/// Instructions all executions of one code installation may use together.
pub const INSTALL_INSTRUCTIONS: u64 = 300_000_000_000;
/// Instructions of one slice of deterministic time slicing.
pub const SLICE_INSTRUCTIONS: u64 = 2_000_000_000;
/// Instructions of code installations that each round credits back to a canister.
pub const INSTALL_CREDIT: u64 = SLICE_INSTRUCTIONS;
/// Instructions set aside for a cleanup callback.
pub const CLEANUP_INSTRUCTIONS: u64 = 2_000_000_000;
/// Largest response between canisters, in bytes: its transmission is paid for in advance.
pub const MAX_RESPONSE_BYTES: usize = 2_097_152;
/// Largest message between subnets and largest ingress message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 2_097_152;
/// Compiling costs this many instructions for every wasm operator, and a hundredth of it when the
/// subnet has compiled the same module before.
pub const COMPILE_INSTRUCTIONS: u64 = 6_000;

const REFERENCE_SIZE: u128 = 13;
const GIB: u128 = 1 << 30;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The prices of one subnet. All are zero on system subnets.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    size: u128,
    charges: bool,
}

impl Prices {
    /// The price table of a subnet.
    pub fn new(subnet: &SubnetConfig) -> Self {
        Self {
            size: u128::from(subnet.size),
            charges: !subnet.kind.is_system(),
        }
    }

    /// Whether canisters pay here.
    pub fn charges(self) -> bool {
        self.charges
    }

    fn scaled(self, price: u128) -> Cycles {
        if self.charges {
            price.saturating_mul(self.size) / REFERENCE_SIZE
        } else {
            0
        }
    }

    /// Receiving an ingress message of `bytes`.
    pub fn ingress(self, bytes: usize) -> Cycles {
        self.scaled(1_200_000 + 2_000 * bytes as u128)
    }

    /// One execution using `instructions`.
    pub fn execution(self, instructions: u64) -> Cycles {
        self.scaled(5_000_000 + u128::from(instructions))
    }

    /// Transmission of `bytes` of a response.
    pub fn response(self, bytes: usize) -> Cycles {
        self.scaled(1_000 * bytes as u128)
    }

    /// Storing `bytes` and holding `compute_percent` for a time.
    pub fn resources(self, bytes: u64, compute_percent: u64, nanos: u64) -> Cycles {
        let seconds = u128::from(nanos) / NANOS_PER_SECOND;
        let storage = self.scaled(127_000 * u128::from(bytes) * seconds) / GIB;
        let compute = self.scaled(10_000_000 * u128::from(compute_percent) * seconds);
        storage.saturating_add(compute)
    }

    /// Creating a canister by a call.
    pub fn create_canister(self) -> Cycles {
        self.scaled(500_000_000_000)
    }

    /// An HTTP outcall with a request of `request_bytes` that may get up to `response_bytes`.
    pub fn http_request(self, request_bytes: u64, response_bytes: u64) -> Cycles {
        if !self.charges {
            return 0;
        }
        let base = 3_000_000 + 60_000 * self.size;
        self.size * (base + 400 * u128::from(request_bytes) + 800 * u128::from(response_bytes))
    }

    /// A threshold signature made by a subnet of `signers` nodes.
    pub fn signature(self, signers: u32) -> Cycles {
        if self.charges {
            10_000_000_000 * u128::from(signers) / REFERENCE_SIZE
        } else {
            0
        }
    }
}

/// Bytes of an ingress message as they are charged: the CBOR envelope around its variable parts.
pub fn ingress_bytes(sender: &[u8], canister_id: &[u8], method: &str, arg: &[u8]) -> usize {
    /// Envelope with all variable parts and their length headers taken out.
    const FIXED: usize = 121 - (1 + 1) - (1 + 10) - 1 - 1;
    FIXED
        + cbor_string(sender.len())
        + cbor_string(canister_id.len())
        + cbor_string(method.len())
        + cbor_string(arg.len())
}

/// Length of a CBOR string of `len` bytes with its header.
fn cbor_string(len: usize) -> usize {
    let header = match len {
        0..=23 => 1,
        24..=255 => 2,
        256..=65_535 => 3,
        _ => 5,
    };
    header + len
}

/// A number with underscores between groups of three digits, as error texts show cycles.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPLICATION: Prices = Prices {
        size: 13,
        charges: true,
    };

    #[test]
    fn prices_should_be_the_measured_ones() {
        let ingress = |method: &str, arg: usize| {
            APPLICATION.ingress(ingress_bytes(&[4], &[0; 10], method, &vec![0; arg]))
        };
        assert_eq!(ingress("noop", 0) + APPLICATION.execution(506), 6_450_506);
        assert_eq!(ingress("noop", 1_000) - ingress("noop", 0), 1_002 * 2_000);
        assert_eq!(
            ingress("noop", 1_000_000) - ingress("noop", 0),
            1_000_004 * 2_000
        );
        assert_eq!(
            ingress_bytes(&[0; 29], &[0; 10], "m", &[])
                - ingress_bytes(&[0; 10], &[0; 10], "m", &[]),
            20
        );
        // A record with a canister id is 27 bytes of Candid.
        assert_eq!(
            APPLICATION.ingress(ingress_bytes(&[4], &[], "canister_status", &[0; 27])),
            1_508_000
        );
        assert_eq!(APPLICATION.http_request(0, 0), 49_140_000);
        assert_eq!(APPLICATION.http_request(1_000, 2_000), 75_140_000);
        assert_eq!(APPLICATION.http_request(1_000, 2_000_000), 20_854_340_000);
        assert_eq!(APPLICATION.signature(34), 26_153_846_153);
        let storage = |seconds: u64| APPLICATION.resources(10_486_574, 0, seconds * 1_000_000_000);
        assert_eq!(
            [11, 100, 86_400].map(storage),
            [13_643, 124_033, 107_164_568]
        );
        assert_eq!(APPLICATION.resources(190, 0, 86_400_000_000_000), 1_941);
    }

    #[test]
    fn digits_should_be_grouped() {
        assert_eq!(
            [0, 999, 1_000, 26_153_846_153].map(grouped),
            ["0", "999", "1_000", "26_153_846_153"]
        );
    }
}
