//! JSON from strangers: refuses what parsers disagree about (duplicate keys) and what makes them slow
//! or overflow the stack (deep nesting).

use crate::decode::DecodeError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{borrow::Cow, cell::RefCell, collections::BTreeSet, fmt};

/// JSON as it stands in the text: what needs no unescaping is not copied.
#[derive(Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// Keys, each of them once, and their values in the order of the text.
pub(crate) type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

impl From<Json<'_>> for Value {
    fn from(json: Json<'_>) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => Value::Number(number),
            Json::Text(text) => Value::String(text.into_owned()),
            Json::List(list) => list.into_iter().map(Value::from).collect(),
            Json::Object(object) => Value::Object(to_map(object)),
        }
    }
}

/// The object as the type of the wire types.
pub(crate) fn to_map(object: Object<'_>) -> Map<String, Value> {
    let entry = |(key, value): (Cow<'_, str>, Json<'_>)| (key.into_owned(), value.into());
    object.into_iter().map(entry).collect()
}

/// Reads one JSON object. Anything else at the top is refused, as are trailing characters.
pub(crate) fn parse<'a>(
    name: &str,
    text: &'a str,
    max_depth: usize,
) -> Result<Json<'a>, DecodeError> {
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
        (Ok(value @ Json::Object(_)), None) => Ok(value),
        (Ok(_), None) => Err(DecodeError::WrongType {
            field,
            problem: "must be a JSON object".into(),
        }),
    }
}

/// What the parser's own error type cannot carry.
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
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.into())))
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Object::new();
        // All keys, once there are so many that comparing with each of them takes long.
        let mut many = BTreeSet::new();
        while let Some(key) = map.next_key_seed(Key)? {
            let known = match many.is_empty() {
                true => values.iter().any(|(other, _)| *other == key),
                false => many.contains(&key),
            };
            if known {
                return Err(self.refuse(Refusal::DuplicateKey(key.into_owned())));
            }
            if values.len() == FEW_KEYS {
                many.extend(values.iter().map(|(other, _)| other.clone()));
            }
            if values.len() >= FEW_KEYS {
                many.insert(key.clone());
            }
            let value = map.next_value_seed(deeper)?;
            values.push((key, value));
        }
        Ok(Json::Object(values))
    }
}

/// Up to so many keys are compared one by one.
const FEW_KEYS: usize = 32;

/// An object's key.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.into()))
    }
}
