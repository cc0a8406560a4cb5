//! Bytes from a disk: whole, cut short, or with a flipped bit.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_store::catalog::CATALOG;
use khlong_store::record;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;
use proptest::collection::vec;
use proptest::prelude::*;

fn table() -> impl Strategy<Value = Table> {
    (0..CATALOG.len()).prop_map(|n| Table::from_number(u8::try_from(n).unwrap()).unwrap())
}

fn write_set() -> impl Strategy<Value = WriteSet> {
    let row = (
        table(),
        vec(any::<u8>(), 0..20),
        proptest::option::of(vec(any::<u8>(), 0..20)),
    );
    vec(row, 0..8).prop_map(|rows| {
        let mut writes = WriteSet::new();
        for (table, key, record) in rows {
            match record {
                Some(record) => writes.put(table, key, record),
                None => writes.delete(table, key),
            }
        }
        writes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn write_sets_come_back_and_nothing_shorter_or_longer_does(writes in write_set()) {
        let bytes = writes.encode();
        prop_assert_eq!(WriteSet::decode(&bytes), Some(writes));
        for length in 0..bytes.len() {
            prop_assert_eq!(WriteSet::decode(bytes.get(..length).unwrap()), None);
        }
        prop_assert_eq!(WriteSet::decode(&[bytes.as_slice(), &[0]].concat()), None);
    }

    #[test]
    fn any_bytes_are_a_write_set_or_none(bytes in vec(any::<u8>(), 0..200)) {
        if let Some(writes) = WriteSet::decode(&bytes) {
            prop_assert_eq!(WriteSet::decode(&writes.encode()), Some(writes));
        }
    }

    #[test]
    fn records_come_back_only_whole_and_in_their_place(
        table in table(), key in vec(any::<u8>(), 0..40), payload in vec(any::<u8>(), 0..80), bit in any::<prop::sample::Index>(),
    ) {
        let sealed = record::seal(table, &key, payload.clone());
        prop_assert_eq!(record::open(table, &key, sealed.clone()).unwrap(), payload);
        for length in 0..sealed.len() {
            prop_assert!(record::open(table, &key, sealed.get(..length).unwrap().to_vec()).is_err());
        }
        let mut flipped = sealed.clone();
        let bit = bit.index(flipped.len() * 8);
        *flipped.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        prop_assert!(record::open(table, &key, flipped).is_err());
        prop_assert!(record::open(table, &[key.as_slice(), b"x"].concat(), sealed.clone()).is_err(), "another key");
        let other = if table == Table::Meta { Table::Quota } else { Table::Meta };
        prop_assert!(record::open(other, &key, sealed).is_err(), "another table");
    }
}
