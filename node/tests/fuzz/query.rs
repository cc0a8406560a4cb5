//! What a person types to find something.

use khlong_crdt::id::{EpochId, MessageId, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_node::peer::{IndexKey, MasterKey};
use khlong_node::search::entry::{Entry, Filter, PageName, sender};
use khlong_node::search::index::Index;
use khlong_node::search::query::{QUERY_BYTES_MAX, Query};

use crate::fuzzing::fuzz;

fuzz!(fuzz_query, 400, queries(), query());

fn queries() -> Vec<Vec<u8>> {
    let texts = [
        "ตลาดน้ำ",
        "\"floating market\" boat",
        "42 🛶",
        "ก",
        "a\"b",
        "น้ำ น้ำ",
        "THE canal",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Against an index of a few messages: how often a query is found does not matter here.
fn query() -> impl Fn(&[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let key = IndexKey::of(&MasterKey::from_bytes([7; 32]));
    let mut index = Index::open(folder.path(), &key).unwrap();
    index.put(page(), [1; 16], &entries()).unwrap();
    index.commit().unwrap();
    index.rest().unwrap();
    move |bytes| {
        let _folder = &folder;
        let Ok(text) = std::str::from_utf8(bytes) else {
            return false;
        };
        let Ok(query) = Query::parse(text) else {
            return false;
        };
        assert!(text.len() <= QUERY_BYTES_MAX);
        let found = index.find(&query, &Filter::default(), 10).unwrap();
        assert!(found.newest.len() <= found.total);
        assert!(found.total <= entries().len());
        true
    }
}

pub(crate) fn page() -> PageName {
    PageName {
        timeline: TimelineId::from_bytes([1; 32]),
        n: 0,
        lineage: EpochId::ZERO,
    }
}

pub(crate) fn entries() -> Vec<Entry> {
    let bodies = ["พบกันที่ตลาดน้ำ 42 🛶", "the floating market", "a canal", "ก"];
    let entry = |(seed, body): (u8, &str)| Entry {
        id: MessageId::from_bytes([seed; 16]),
        body: body.to_owned(),
        author: sender("mali"),
        sent_at: UnixMillis(1_795_000_000_000 + i64::from(seed)),
    };
    (1..).zip(bodies).map(entry).collect()
}
