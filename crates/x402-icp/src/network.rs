//! CAIP-2 ids of networks (section 2).

use sha2::{Digest, Sha256};

/// The namespace of every network id of the Internet Computer.
pub const NAMESPACE: &str = "icp";

/// The network id of the mainnet.
pub const MAINNET: &str = "icp:1";

/// The DER-encoded root public key of the mainnet (Interface Specification, "Root of trust").
pub const MAINNET_ROOT_KEY_DER: &[u8; 133] = b"\x30\x81\x82\x30\x1d\x06\x0d\x2b\x06\x01\x04\x01\x82\xdc\x7c\x05\x03\x01\x02\x01\x06\x0c\x2b\x06\x01\x04\x01\x82\xdc\x7c\x05\x03\x02\x01\x03\x61\x00\x81\x4c\x0e\x6e\xc7\x1f\xab\x58\x3b\x08\xbd\x81\x37\x3c\x25\x5c\x3c\x37\x1b\x2e\x84\x86\x3c\x98\xa4\xf1\xe0\x8b\x74\x23\x5d\x14\xfb\x5d\x9c\x0c\xd5\x46\xd9\x68\x5f\x91\x3a\x0c\x0b\x2c\xc5\x34\x15\x83\xbf\x4b\x43\x92\xe4\x67\xdb\x96\xd6\x5b\x9b\xb4\xcb\x71\x71\x12\xf8\x47\x2e\x0d\x5a\x4d\x14\x50\x5f\xfd\x74\x84\xb0\x12\x91\x09\x1c\x5f\x87\xb9\x88\x83\x46\x3f\x98\x09\x1a\x0b\xaa\xae";

/// The CAIP-2 id of the network with this root key.
///
/// `icp:1` for the mainnet; `icp:` and the first 16 hexadecimal digits of SHA-256 over the DER-encoded key for any
/// other, so that no local authorization is ever valid on the mainnet.
pub fn network_id(root_key_der: &[u8]) -> String {
    if root_key_der == MAINNET_ROOT_KEY_DER {
        return MAINNET.to_string();
    }
    let digest: [u8; 32] = Sha256::digest(root_key_der).into();
    let mut id = hex::encode(digest);
    id.truncate(16);
    format!("{NAMESPACE}:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_has_the_short_id() {
        assert_eq!(network_id(MAINNET_ROOT_KEY_DER), "icp:1");
    }

    #[test]
    fn any_other_key_is_named_by_its_hash() {
        let mut key = *MAINNET_ROOT_KEY_DER;
        key[132] ^= 1;
        let id = network_id(&key);
        assert_eq!(id.len(), 4 + 16);
        assert_eq!(
            id,
            format!("icp:{}", &hex::encode(Sha256::digest(key))[..16])
        );
        // SHA-256 of the empty input, a well-known constant.
        assert_eq!(network_id(b""), "icp:e3b0c44298fc1c14");
    }
}
