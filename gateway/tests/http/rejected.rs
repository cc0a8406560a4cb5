//! Requests that fail as a whole, each with the name of its problem: what was rejected by the client's fault, what
//! failed by the gateway's, and what cannot be read any more.

use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, Ledger, LedgerCommand};
use khlong_gateway::kernel::{ApplyError, Context, Domain, Rejection};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::table::Table;
use serde_json::json;

use crate::client::Reply;
use crate::days::{TODAY, Time, start_with};
use crate::server::{Server, pay, set_up};

/// Each with what a client is told.
const REJECTIONS: [(Rejection, u16, &str); 6] = [
    (Rejection::Malformed, 422, "rejected"),
    (Rejection::TooLarge, 422, "rejected"),
    (Rejection::UnknownDomain, 500, "fault"),
    (Rejection::Invariant, 500, "fault"),
    (Rejection::Panicked, 500, "fault"),
    (Rejection::ForeignTable, 500, "fault"),
];

/// In place of the ledger: rejects a transfer by its amount, which is a place in [`REJECTIONS`].
struct Refusing;

impl Domain for Refusing {
    fn number(&self) -> u8 {
        LEDGER_DOMAIN
    }

    fn tables(&self) -> &'static [Table] {
        &[]
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let Some(LedgerCommand::CreateTransfers(transfers)) = LedgerCommand::decode(body) else {
            return Err(ApplyError::Rejected(Rejection::Malformed));
        };
        let place = usize::try_from(transfers[0].amount).unwrap();
        // The one behind the last is a bug.
        Err(ApplyError::Rejected(REJECTIONS[place].0))
    }

    fn roll_back(&mut self) {}
}

fn entries(server: &Server) -> u64 {
    let head = server.get("/v1/journal/head").json();
    head["entry"].as_u64().unwrap()
}

fn detail(reply: &Reply) -> String {
    reply.json()["detail"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_rejected_as_a_whole_is_told_with_its_reason_and_again_under_its_key() {
    let server = start_with(&MemoryDisk::new(), &Time::at(TODAY.start().0), || {
        vec![Box::new(Refusing)]
    });
    let panics = (Rejection::Panicked, 500, "fault");
    for (place, (rejection, status, problem)) in
        (0_u64..).zip(REJECTIONS.into_iter().chain([panics]))
    {
        let key = place.to_string();
        let sent = json!([pay(1 + place, 1, 2, place)]);
        let told = server.send(&key, sent.clone());
        assert_eq!(
            (told.status, told.problem().as_str()),
            (status, problem),
            "{rejection:?}"
        );
        assert_eq!(detail(&told), rejection.to_string());
        assert_eq!(
            told.headers.get("retry-after"),
            None,
            "it would be the same again"
        );
        // It is decided: an entry, once.
        assert_eq!(entries(&server), place + 1);
        let again = server.send(&key, sent);
        assert_eq!((again.status, &again.body), (told.status, &told.body));
        assert_eq!(entries(&server), place + 1);
    }
    server.stop().unwrap();
}

/// The gateway was started without its ledger.
#[test]
fn a_command_that_nobody_takes_is_a_fault() {
    let server = start_with(&MemoryDisk::new(), &Time::at(TODAY.start().0), Vec::new);
    let told = server.send("1", json!([pay(1, 1, 2, 1)]));
    assert_eq!((told.status, told.problem().as_str()), (500, "fault"));
    assert_eq!(detail(&told), Rejection::UnknownDomain.to_string());
    server.stop().unwrap();
}

/// One row on the disk has lost a bit.
#[test]
fn what_cannot_be_read_is_a_fault_and_all_else_is_served() {
    let disk = MemoryDisk::new();
    let server = start_with(&disk, &Time::at(TODAY.start().0), || {
        vec![Box::new(Ledger::without_owners())]
    });
    set_up(server.address, 3);
    assert!(disk.rot(Table::LedgerAccount, &3_u128.to_be_bytes(), 77));
    for path in ["/v1/ledger/accounts/3", "/v1/ledger/accounts"] {
        let told = server.get(path);
        assert_eq!(
            (told.status, told.problem().as_str()),
            (500, "fault"),
            "{path}"
        );
        // What exactly is in the log, and is nobody's who asks.
        assert_eq!(
            detail(&told),
            "the gateway cannot read its books; report it"
        );
    }
    assert_eq!(server.balance(2, "credits_posted"), "0");
    let paid = server.send("1", json!([pay(1, 1, 2, 5)]));
    assert_eq!(paid.results(), ["ok"]);
    assert_eq!(server.balance(2, "credits_posted"), "5");
    server.stop().unwrap();
}
