//! What another network's export brings: more than one envelope holds, whole or not at all.

use khlong_document::timeline::limits::DRAFT_BYTES_MAX;
use khlong_node::api::{IMPORT_BATCH_MESSAGES_MAX, ImportedLine, Request, Response};
use khlong_store::tables::outbox;

use crate::conversation::pair;
use crate::net::Net;

/// 400 Thai letters, 1,200 bytes, and so much more.
fn lines(count: usize, bytes_more: usize) -> Vec<ImportedLine> {
    let line = |n: usize| ImportedLine {
        network: "line".to_owned(),
        sender: "สมชาย".to_owned(),
        sent_at_ms: 1_700_000_000_000 + n as i64,
        body: format!("{n} {}{}", "ก".repeat(400), "x".repeat(bytes_more)),
        import_key: format!("{n:032x}"),
        reply_to: None,
    };
    (0..count).map(line).collect()
}

fn import(messages: Vec<ImportedLine>) -> Request {
    Request::Import {
        timeline: "canal".to_owned(),
        messages,
        dry_run: false,
    }
}

fn envelopes(net: &Net) -> usize {
    let store = net.people["mali"].peer.as_ref().unwrap().store();
    outbox::list(&store.batch()).unwrap().len()
}

#[test]
fn a_batch_becomes_as_many_envelopes_as_it_needs() {
    let mut net = Net::new(71, &["mali", "ton"]);
    pair(&mut net);
    net.cut("mali");
    let before = envelopes(&net);
    let batch = lines(IMPORT_BATCH_MESSAGES_MAX, 1_500);
    let bytes: usize = batch.iter().map(|line| line.body.len()).sum();
    assert!(bytes > 10 * DRAFT_BYTES_MAX);
    let told = net.at("mali").ask(import(batch.clone()));
    let Response::Imported {
        imported, known, ..
    } = told
    else {
        panic!("{told:?}")
    };
    assert_eq!((imported, known), (IMPORT_BATCH_MESSAGES_MAX as u64, 0));
    assert!(envelopes(&net) - before >= bytes / DRAFT_BYTES_MAX);
    net.crash("mali");
    net.start("mali");
    let bodies: Vec<String> = batch.iter().map(|line| line.body.clone()).collect();
    assert_eq!(net.at("mali").bodies("canal"), bodies, "it is on the disk");
    net.heal();
    net.settle();
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal"), bodies);
}

/// The last message is too long for a document: those before it are not written either.
#[test]
fn a_batch_with_a_message_that_does_not_fit_writes_nothing() {
    let mut net = Net::new(72, &["mali", "ton"]);
    pair(&mut net);
    let before = envelopes(&net);
    let mut batch = lines(200, 0);
    batch.extend(lines(201, 16 * 1_024).pop());
    let why = net.at("mali").refusal(import(batch.clone()));
    assert!(why.contains("at most 16384 fit"), "{why}");
    assert_eq!(envelopes(&net), before);
    assert!(net.at("mali").bodies("canal").is_empty());
    assert!(
        net.people["mali"].failures.is_empty(),
        "nor did the peer go"
    );
    batch.pop();
    net.at("mali").ask(import(batch));
    net.settle();
    net.assert_converged("canal");
    assert_eq!(net.at("ton").bodies("canal").len(), 200);
}
