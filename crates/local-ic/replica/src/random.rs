//! Deterministic randomness: the order in which a round handles what arrived together, and `raw_rand`.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::types::Principal;

/// What a stream of randomness is for; streams of different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    IngressOrder,
    CanisterOrder,
    RawRand,
    Placement,
}

/// The randomness of one round of one subnet for one purpose.
pub fn stream(subnet: Principal, round: u64, purpose: Purpose) -> ChaCha20Rng {
    let seed = Sha256::new()
        .chain_update(b"local-ic randomness")
        .chain_update([purpose as u8])
        .chain_update(round.to_be_bytes())
        .chain_update(subnet.as_slice())
        .finalize();
    ChaCha20Rng::from_seed(seed.into())
}

/// A number below `bound`, which must not be zero.
pub fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}

/// Puts the items into random order. Real subnets order ingress messages by what a test cannot
/// foresee; a test must not rely on the order of submission.
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha20Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_should_repeat_and_differ_by_round() {
        let order = |round| {
            let mut items: Vec<u32> = (0..8).collect();
            shuffle(
                &mut items,
                &mut stream(Principal::anonymous(), round, Purpose::IngressOrder),
            );
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..8).collect::<Vec<u32>>());
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..8).collect::<Vec<u32>>());
    }
}
