//! The curve of a private key in PEM form, according to the file.
//!
//! A parser for one curve may accept a key without a curve, or ignore its curve. A P-256 key without its public key
//! would become a secp256k1 identity, with another principal and an empty account.

use base64::{Engine, engine::general_purpose::STANDARD};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ed25519,
    Secp256k1,
    P256,
}

/// 1.3.101.112, RFC 8410.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.3.132.0.10, SEC 2.
const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
/// 1.2.840.10045.3.1.7, RFC 5480.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.2.840.10045.2.1, RFC 5480: an elliptic curve, which the parameters name.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const PARAMETERS: u8 = 0xa0;

/// The kind of the one private key in a PEM file: of a PKCS#8 or SEC1 block, or of an `EC PARAMETERS` block beside it.
pub(super) fn kind(pem: &str) -> Result<Kind, String> {
    let mut kinds = Vec::new();
    let mut keys = 0;
    for (label, der) in blocks(pem)? {
        let object = match label.as_str() {
            "PRIVATE KEY" => {
                keys += 1;
                Some(of_pkcs8(&der).ok_or("the key is not a PKCS#8 structure")?)
            }
            "EC PRIVATE KEY" => {
                keys += 1;
                of_sec1(&der).ok_or("the key is not a SEC1 structure")?
            }
            "EC PARAMETERS" => Some(of_parameters(&der).ok_or("the curve has no name")?),
            _ => None,
        };
        kinds.extend(object);
    }
    if keys != 1 {
        return Err(format!("there are {keys} private keys"));
    }
    let Some(first) = kinds.first() else {
        return Err("the key does not say which curve it is for".into());
    };
    if kinds.iter().any(|kind| kind != first) {
        return Err("the file names two curves".into());
    }
    match first.as_slice() {
        ED25519 => Ok(Kind::Ed25519),
        SECP256K1 => Ok(Kind::Secp256k1),
        P256 => Ok(Kind::P256),
        _ => Err("it is a key of another kind".into()),
    }
}

/// The blocks of a PEM file by label.
fn blocks(pem: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut blocks = Vec::new();
    let mut lines = pem.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let label = line
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = label else {
            continue;
        };
        let end = format!("-----END {label}-----");
        let mut text = String::new();
        loop {
            match lines.next() {
                None => return Err("a block has no end".into()),
                Some(line) if line == end => break,
                Some(line) => text.push_str(line),
            }
        }
        if label == "ENCRYPTED PRIVATE KEY" || text.contains("ENCRYPTED") {
            return Err("the key is encrypted".into());
        }
        let der = STANDARD.decode(text).map_err(|e| e.to_string())?;
        blocks.push((label.to_string(), der));
    }
    Ok(blocks)
}

/// `PrivateKeyInfo` of RFC 5208: version, algorithm (with the curve as parameters), key.
fn of_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (info, _) = element(der, SEQUENCE)?;
    let (_, rest) = element(info, INTEGER)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (object, parameters) = element(algorithm, OBJECT_ID)?;
    match object == EC {
        true => of_parameters(parameters),
        false => Some(object.to_vec()),
    }
}

/// `ECPrivateKey` of RFC 5915: version, key, and optionally the curve.
fn of_sec1(der: &[u8]) -> Option<Option<Vec<u8>>> {
    let (key, _) = element(der, SEQUENCE)?;
    let (_, rest) = element(key, INTEGER)?;
    let (_, rest) = element(rest, OCTET_STRING)?;
    Some(match element(rest, PARAMETERS) {
        Some((parameters, _)) => Some(of_parameters(parameters)?),
        None => None,
    })
}

fn of_parameters(der: &[u8]) -> Option<Vec<u8>> {
    element(der, OBJECT_ID).map(|(object, _)| object.to_vec())
}

/// The content of a DER element with this tag at the front, and the bytes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        // No key is that long.
        _ => return None,
    };
    rest.split_at_checked(length)
}
