//! Cycles prices a canister can ask for or pays inside an execution (facts B of crates/torture/README.md).
//!
//! Prices are those of a 13-node subnet and scale linearly with the subnet's size.

use crate::types::Cycles;

const REFERENCE_SUBNET_SIZE: u128 = 13;
/// Nodes of the subnets that hold threshold keys.
const KEY_SUBNET_SIZE: u32 = 34;
const XNET_CALL: Cycles = 260_000;
const XNET_BYTE: Cycles = 1_000;
/// Largest response a call may get, paid for in advance.
const MAX_RESPONSE_BYTES: Cycles = 2_097_152;
const EXECUTION_BASE: Cycles = 5_000_000;
/// Instructions a response callback may take, paid for in advance.
const MAX_CALLBACK_INSTRUCTIONS: Cycles = 40_000_000_000;
const CREATE_CANISTER: Cycles = 500_000_000_000;
const SIGNATURE: Cycles = 10_000_000_000;

fn scaled(price: Cycles, subnet_size: u32) -> Cycles {
    price * Cycles::from(subnet_size) / REFERENCE_SUBNET_SIZE
}

/// What `ic0.call_perform` takes for a call with `bytes` of method name and argument (`ic0.cost_call`).
pub fn call(bytes: u64, subnet_size: u32) -> Cycles {
    scaled(XNET_CALL, subnet_size)
        + scaled(XNET_BYTE * Cycles::from(bytes), subnet_size)
        + scaled(XNET_BYTE * MAX_RESPONSE_BYTES, subnet_size)
        + scaled(EXECUTION_BASE, subnet_size)
        + scaled(MAX_CALLBACK_INSTRUCTIONS, subnet_size)
}

/// `ic0.cost_create_canister`.
pub fn create_canister(subnet_size: u32) -> Cycles {
    scaled(CREATE_CANISTER, subnet_size)
}

/// `ic0.cost_http_request`: `request_bytes` of URL, headers, body and transform together, and the response limit.
pub fn http_request(request_bytes: u64, max_response_bytes: u64, subnet_size: u32) -> Cycles {
    let nodes = Cycles::from(subnet_size);
    let per_node = 3_000_000
        + 60_000 * nodes
        + 400 * Cycles::from(request_bytes)
        + 800 * Cycles::from(max_response_bytes);
    per_node * nodes
}

/// `ic0.cost_sign_with_ecdsa` and `ic0.cost_sign_with_schnorr`: the subnet that signs sets the price.
pub fn signature() -> Cycles {
    scaled(SIGNATURE, KEY_SUBNET_SIZE)
}

/// Whether a threshold key of this name exists.
pub fn is_key_name(name: &str) -> bool {
    matches!(name, "key_1" | "test_key_1" | "dfx_test_key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_match_the_measured_prices() {
        assert_eq!(call(7, 13), 42_102_419_000);
        assert_eq!(create_canister(13), 500_000_000_000);
        assert_eq!(http_request(0, 0, 13), 49_140_000);
        assert_eq!(http_request(1_000, 2_000, 13), 75_140_000);
        assert_eq!(http_request(1_000, 2_000_000, 13), 20_854_340_000);
        assert_eq!(signature(), 26_153_846_153);
    }
}
