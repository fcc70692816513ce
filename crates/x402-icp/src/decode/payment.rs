//! From strictly parsed JSON to a payment, by hand: one pass that moves the texts, a path in every error,
//! and a fraction of the code that two generic deserializers make of the same types on wasm.

use super::DecodeError;
use crate::{
    json::{Json, Object, to_map},
    number,
    wire::{
        DelegationText, ExactIcrc2Extra, ExactIcrc2Payload, PaymentPayload, PaymentRequirements,
        ResourceInfo,
    },
};
use std::fmt;

/// Where a value stands; written out only when there is an error to report.
enum Path<'a> {
    Top(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Top(name) => f.write_str(name),
            Path::Key(Path::Top(_), key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Path<'_> {
    fn wrong(&self, problem: &str) -> DecodeError {
        DecodeError::WrongType {
            field: self.to_string(),
            problem: problem.into(),
        }
    }

    fn object<'j>(&self, value: Json<'j>) -> Result<Object<'j>, DecodeError> {
        match value {
            Json::Object(object) => Ok(object),
            _ => Err(self.wrong("must be an object")),
        }
    }

    fn list<'j>(&self, value: Json<'j>) -> Result<Vec<Json<'j>>, DecodeError> {
        match value {
            Json::List(list) => Ok(list),
            _ => Err(self.wrong("must be a list")),
        }
    }

    fn text(&self, value: Json<'_>) -> Result<String, DecodeError> {
        match value {
            Json::Text(text) => Ok(text.into_owned()),
            _ => Err(self.wrong("must be a text")),
        }
    }
}

/// An object whose fields are taken out one by one.
struct Fields<'a, 'j> {
    path: &'a Path<'a>,
    left: Object<'j>,
}

impl<'a, 'j> Fields<'a, 'j> {
    fn of(path: &'a Path<'a>, value: Json<'j>) -> Result<Self, DecodeError> {
        let left = path.object(value)?;
        Ok(Fields { path, left })
    }

    fn take(&mut self, key: &'static str) -> Option<Json<'j>> {
        let place = self.left.iter().position(|(other, _)| other == key)?;
        Some(self.left.swap_remove(place).1)
    }

    fn required(&mut self, key: &'static str) -> Result<Json<'j>, DecodeError> {
        self.optional(key)
            .ok_or_else(|| Path::Key(self.path, key).wrong("is missing"))
    }

    /// `null` is no value.
    fn optional(&mut self, key: &'static str) -> Option<Json<'j>> {
        self.take(key).filter(|value| *value != Json::Null)
    }

    fn text(&mut self, key: &'static str) -> Result<String, DecodeError> {
        let value = self.required(key)?;
        Path::Key(self.path, key).text(value)
    }

    /// A text that is not signed and decides nothing unless it is one.
    fn text_or_none(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Json::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    /// The same for a number.
    fn natural_or_none(&mut self, key: &'static str) -> Option<u64> {
        match self.take(key)? {
            Json::Number(number) => number::natural(&number),
            _ => None,
        }
    }

    fn number<N: TryFrom<u64>>(&mut self, key: &'static str) -> Result<N, DecodeError> {
        let number = match self.required(key)? {
            Json::Number(number) => number::natural(&number),
            _ => None,
        };
        number
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| {
                Path::Key(self.path, key).wrong("must be a natural number within its limit")
            })
    }

    fn optional_texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, DecodeError> {
        let Some(value) = self.optional(key) else {
            return Ok(None);
        };
        let path = Path::Key(self.path, key);
        let texts = path.list(value)?.into_iter().enumerate();
        texts
            .map(|(i, text)| Path::Index(&path, i).text(text))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

/// The version that a payment says it has, if it can be told.
pub(super) fn version(value: &Json<'_>) -> Option<u64> {
    let Json::Object(members) = value else {
        return None;
    };
    let version = members.iter().find(|(key, _)| key == "x402Version");
    match version {
        Some((_, Json::Number(number))) => number::natural(number),
        _ => None,
    }
}

/// Reads a payment; `name` stands for it as a whole in errors.
pub(super) fn read(name: &str, value: Json<'_>) -> Result<PaymentPayload, DecodeError> {
    let top = Path::Top(name);
    let mut fields = Fields::of(&top, value)?;
    let x402_version = fields.number("x402Version")?;
    let resource = fields.take("resource").and_then(resource);
    let accepted = accepted(&top, fields.required("accepted")?)?;
    let payload = payload(&top, fields.required("payload")?)?;
    // Some writers have one empty value for lists and objects.
    let extensions = match fields.take("extensions") {
        Some(Json::Object(extensions)) => Some(to_map(extensions)),
        _ => None,
    };
    Ok(PaymentPayload {
        x402_version,
        resource,
        accepted,
        payload,
        extensions,
    })
}

/// The echo of the resource, which is not signed and trusted for nothing: what cannot be read is left out.
fn resource(value: Json<'_>) -> Option<ResourceInfo> {
    let path = Path::Top("resource");
    let mut fields = Fields::of(&path, value).ok()?;
    Some(ResourceInfo {
        url: fields.text_or_none("url")?,
        description: fields.text_or_none("description"),
        mime_type: fields.text_or_none("mimeType"),
        service_name: fields.text_or_none("serviceName"),
        tags: fields.optional_texts("tags").ok().flatten(),
        icon_url: fields.text_or_none("iconUrl"),
    })
}

fn accepted(top: &Path<'_>, value: Json<'_>) -> Result<PaymentRequirements, DecodeError> {
    let path = Path::Key(top, "accepted");
    let mut fields = Fields::of(&path, value)?;
    Ok(PaymentRequirements {
        scheme: fields.text("scheme")?,
        network: fields.text("network")?,
        amount: fields.text("amount")?,
        asset: fields.text("asset")?,
        pay_to: fields.text("payTo")?,
        max_timeout_seconds: fields.number("maxTimeoutSeconds")?,
        extra: {
            let path = Path::Key(&path, "extra");
            let mut fields = Fields::of(&path, fields.required("extra")?)?;
            ExactIcrc2Extra {
                asset_transfer_method: fields.text("assetTransferMethod")?,
                symbol: fields.text("symbol")?,
                decimals: fields.number("decimals")?,
                fee: fields.text("fee")?,
                spender: fields.text("spender")?,
                offer: fields.text("offer")?,
                method: fields.text_or_none("method"),
                route: fields.text_or_none("route"),
                revision: fields.natural_or_none("revision"),
                payment_flow: fields.text_or_none("paymentFlow"),
            }
        },
    })
}

fn payload(top: &Path<'_>, value: Json<'_>) -> Result<ExactIcrc2Payload, DecodeError> {
    let path = Path::Key(top, "payload");
    let mut fields = Fields::of(&path, value)?;
    Ok(ExactIcrc2Payload {
        from: fields.text("from")?,
        nonce: fields.text("nonce")?,
        valid_after: fields.text("validAfter")?,
        valid_before: fields.text("validBefore")?,
        public_key: fields.text("publicKey")?,
        signature: fields.text("signature")?,
        delegations: match fields.optional("delegations") {
            None => None,
            Some(value) => {
                let path = Path::Key(&path, "delegations");
                let list = path.list(value)?.into_iter().enumerate();
                let chain = list.map(|(i, value)| delegation(&Path::Index(&path, i), value));
                Some(chain.collect::<Result<_, _>>()?)
            }
        },
    })
}

fn delegation(path: &Path<'_>, value: Json<'_>) -> Result<DelegationText, DecodeError> {
    let mut fields = Fields::of(path, value)?;
    let delegation = DelegationText {
        pubkey: fields.text("pubkey")?,
        expiration: fields.text("expiration")?,
        targets: fields.optional_texts("targets")?,
        signature: fields.text("signature")?,
    };
    // Whatever else restricts the delegation must not be passed over; `null` does not.
    let unknown = fields.left.iter().filter(|(_, value)| *value != Json::Null);
    match unknown.map(|(key, _)| key).min() {
        None => Ok(delegation),
        Some(unknown) => Err(Path::Key(path, unknown).wrong("is not known in a delegation")),
    }
}
