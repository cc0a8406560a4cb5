//! Nodes that an earlier version made: what it allowed must not stop this one.

use khlong_node::api::Request;
use khlong_store::engine::Durability;
use khlong_store::identity::Role;
use khlong_store::tables::named::{self, Named};

use crate::disk::open_store;
use crate::net::Net;

const BOOK: &[u8] = b"book";

/// Writes a nickname that today's commands refuse into the settings of a node.
fn rename_on_disk(net: &mut Net, name: &'static str, nickname: &str) {
    net.crash(name);
    let mut store = open_store(&net.people[name].node.disk, Role::Node);
    let mut batch = store.batch();
    let row = named::get(&batch, Named::NodeState, BOOK).unwrap().unwrap();
    let mut book: serde_json::Value = serde_json::from_slice(&row).unwrap();
    book["nickname"] = nickname.into();
    named::put(
        &mut batch,
        Named::NodeState,
        BOOK,
        book.to_string().into_bytes(),
    )
    .unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    net.start(name);
}

#[test]
fn a_nickname_from_before_its_limit_stops_nothing_and_can_be_changed() {
    let mut net = Net::new(73, &["mali", "ton"]);
    rename_on_disk(&mut net, "ton", &"ต".repeat(40));
    net.at("mali").open_timeline("canal");
    let link = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&link);
    net.settle();
    assert!(net.people["ton"].failures.is_empty());
    net.at("mali").send("canal", "hello");
    net.at("ton").send("canal", "hello to you");
    net.settle();
    assert_eq!(net.at("mali").bodies("canal").len(), 2);
    let new = Request::TimelineNew {
        title: "pond".to_owned(),
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    let why = net.at("ton").refusal(new);
    assert!(why.contains("khlong nickname"), "{why}");

    let nickname = "ton".to_owned();
    net.at("ton").ask(Request::Nickname { nickname });
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);
    net.at("ton").open_timeline("pond");
    net.settle();
    assert!(net.people["ton"].failures.is_empty());
    net.assert_converged("canal");
}
