//! Numbers and moments as JSON has them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use khlong_crdt::time::UnixMillis;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::objects::Object;

/// A whole number as text in decimal, since JSON's own lose digits beyond 2⁵³.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^(0|[1-9][0-9]*)$", example = "4975")]
pub(in crate::http) struct Decimal<T>(pub(in crate::http) T);

/// 128 bits.
pub(in crate::http) type Decimal128 = Decimal<u128>;
/// 64 bits.
pub(in crate::http) type Decimal64 = Decimal<u64>;

/// One spelling for each number: neither sign nor leading zeros.
pub(in crate::http) fn parse<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    if digits && !leading {
        text.parse().ok()
    } else {
        None
    }
}

impl<T: fmt::Display> Serialize for Decimal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Decimal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, |_| NOT_WHOLE.into()).map(Self)
    }
}

const NOT_WHOLE: &str = "not a whole number in decimal that fits: \"4975\", \"0\"";

/// The id of an account or a transfer, as [`Decimal128`] has numbers. One as in a payment file is refused with the words to
/// write; an amount of as many digits is not meant so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::http) struct Id(pub(in crate::http) u128);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Decimal(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, no_id).map(Self)
    }
}

fn no_id(text: &str) -> Cow<'static, str> {
    match of_file(text) {
        Some(id) => {
            format!("ids are in decimal here. If this one is as in a payment file, write \"{id}\"")
                .into()
        }
        None => NOT_WHOLE.into(),
    }
}

/// A whole number as text; `wrong` says what is wrong with one that cannot be read.
fn whole<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
    wrong: fn(&str) -> Cow<'static, str>,
) -> Result<T, D::Error> {
    struct Text<T> {
        wrong: fn(&str) -> Cow<'static, str>,
        read: std::marker::PhantomData<T>,
    }
    impl<T: FromStr> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number as text, such as \"4975\"")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            parse(text).ok_or_else(|| E::custom((self.wrong)(text)))
        }
    }
    deserializer.deserialize_str(Text::<T> {
        wrong,
        read: std::marker::PhantomData,
    })
}

/// An id as payment files and the command line have it: 32 hexadecimal digits.
pub(in crate::http) fn of_file(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// As [`bounded`], of objects.
pub(in crate::http) fn objects<'de, D, T, const MIN: usize, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let objects = bounded::<D, Object<T>, MIN, MAX>(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// From 1 to `MAX` items; stops reading behind the last one that is allowed.
pub(in crate::http) fn bounded<'de, D, T, const MIN: usize, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MIN: usize, const MAX: usize>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de>
        for Bounded<T, MIN, MAX>
    {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of {MIN} to {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == MAX {
                    return Err(A::Error::custom(format_args!("more than {MAX} items")));
                }
                items.push(item);
            }
            if items.len() < MIN {
                return Err(A::Error::custom("an empty list"));
            }
            Ok(items)
        }
    }
    deserializer.deserialize_seq(Bounded::<T, MIN, MAX>(std::marker::PhantomData))
}

/// Reads RFC 3339, from 1970 on; what is below a millisecond is left out.
pub(in crate::http) fn parse_moment(text: &str) -> Option<UnixMillis> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMillis(at.as_millisecond())).filter(|at| at.0 >= 0)
}

/// RFC 3339, in UTC.
pub(in crate::http) fn moment(time: UnixMillis) -> String {
    // The kernel takes no time that the calendar does not have.
    jiff::Timestamp::from_millisecond(time.0)
        .map_or_else(|_| time.0.to_string(), |at| at.to_string())
}
