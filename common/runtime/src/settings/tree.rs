//! The file and the overrides as one tree. An override is text; what it means, the field that reads it decides: `5432` is
//! a number for a port and a text for a name.
use serde::{
    Deserialize, Deserializer,
    de::{
        Error as _, IntoDeserializer, Visitor,
        value::{Error, MapDeserializer},
    },
};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Table(BTreeMap<String, Node>),
    Value(toml::Value),
    Text(String),
}

impl Node {
    pub(super) fn from_table(table: toml::Table) -> Self {
        Self::Table(table.into_iter().map(|(k, v)| (k, Self::from_value(v))).collect())
    }

    fn from_value(value: toml::Value) -> Self {
        match value {
            toml::Value::Table(table) => Self::from_table(table),
            other => Self::Value(other),
        }
    }

    /// Puts `text` at `key`, over whatever the file has there.
    pub(super) fn set(&mut self, key: &[String], text: String) {
        let Some((first, rest)) = key.split_first() else {
            *self = Self::Text(text);
            return;
        };
        if !matches!(self, Self::Table(_)) {
            *self = Self::Table(BTreeMap::new());
        }
        if let Self::Table(table) = self {
            table
                .entry(first.clone())
                .or_insert_with(|| Self::Table(BTreeMap::new()))
                .set(rest, text);
        }
    }
}

impl IntoDeserializer<'_, Error> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn other(e: impl std::fmt::Display) -> Error {
    Error::custom(e)
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Self::Text(text) => visitor.$visit(
                    text.trim().parse::<$type>().map_err(|_| other(concat!("invalid value, expected ", $what)))?,
                ),
                node => node.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Table(table) => visitor.visit_map(MapDeserializer::new(table.into_iter())),
            Self::Value(value) => value.deserialize_any(visitor).map_err(|e| other(e.message())),
            Self::Text(text) => visitor.visit_string(text),
        }
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number, not negative";
        deserialize_u64 visit_u64 u64, "a whole number, not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            Self::Value(value) => value
                .deserialize_enum(name, variants, visitor)
                .map_err(|e| other(e.message())),
            Self::Table(table) => visitor.visit_enum(serde::de::value::MapAccessDeserializer::new(
                MapDeserializer::new(table.into_iter()),
            )),
        }
    }

    /// A list in a variable is a TOML array, or words between commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = match self {
            Self::Text(text) => text,
            node => return node.deserialize_any(visitor),
        };
        if text.trim_start().starts_with('[') {
            let value =
                toml::Value::deserialize(toml::de::ValueDeserializer::parse(&text).map_err(|e| other(e.message()))?)
                    .map_err(|e| other(e.message()))?;
            return value.deserialize_any(visitor).map_err(|e| other(e.message()));
        }
        let words: Vec<Node> = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(|word| Node::Text(word.to_owned()))
            .collect();
        visitor.visit_seq(serde::de::value::SeqDeserializer::new(words.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct map struct identifier ignored_any
    }
}
