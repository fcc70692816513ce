//! Decoding of untrusted JSON: refuses duplicate keys, which parsers interpret differently, and deep nesting, which
//! makes them slow or overflows the stack. `serde_json` accepts both.

use crate::decode::DecodeError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::RefCell, fmt};

/// Decodes one JSON object. Anything else at the top is refused, and so are trailing characters.
pub(crate) fn parse(name: &str, text: &str, max_depth: usize) -> Result<Value, DecodeError> {
    let refusal = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let strict = Strict {
        depth_left: max_depth,
        refusal: &refusal,
    };
    let parsed = strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    let field = name.to_string();
    match (parsed, refusal.into_inner()) {
        (_, Some(Refusal::TooDeep)) => Err(DecodeError::TooDeep {
            field,
            limit: max_depth,
        }),
        (_, Some(Refusal::DuplicateKey(key))) => Err(DecodeError::DuplicateKey { field, key }),
        (Err(e), None) => Err(DecodeError::NotJson {
            field,
            problem: e.to_string(),
        }),
        (Ok(value @ Value::Object(_)), None) => Ok(value),
        (Ok(_), None) => Err(DecodeError::WrongType {
            field,
            problem: "must be a JSON object".into(),
        }),
    }
}

/// Errors that the parser's own type cannot represent.
enum Refusal {
    TooDeep,
    DuplicateKey(String),
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    refusal: &'a RefCell<Option<Refusal>>,
}

impl Strict<'_> {
    fn refuse<E: Error>(&self, refusal: Refusal) -> E {
        *self.refusal.borrow_mut() = Some(refusal);
        E::custom("refused")
    }

    fn deeper<E: Error>(&self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Strict {
                depth_left,
                refusal: self.refusal,
            }),
            None => Err(self.refuse(Refusal::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(self.refuse(Refusal::DuplicateKey(key)));
            }
            let value = map.next_value_seed(deeper)?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}
