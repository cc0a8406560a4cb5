//! A gateway's folder, what its books have done in it, and the files that people hand in.

use std::path::Path;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::all;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportRecord, PayoutBatch, PayoutFormat, Text140,
};
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand, Day};
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand, Transfer};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::store::Store;

use crate::fixture::{JOURNAL, command, decide, opening, options};

/// 27 November 2026.
pub(crate) const TODAY: Day = Day(20_784);

pub(crate) fn noon() -> i64 {
    TODAY.start().0 + 12 * 3_600_000
}

/// As commands take and print it.
pub(crate) fn id(id: u128) -> String {
    format!("{id:032x}")
}

/// The folder `gateway` in that place.
pub(crate) fn open(place: &Path) -> Kernel {
    let store = Store::open(&place.join("gateway"), &options()).unwrap();
    Kernel::open(store, all(), Logic::CURRENT, JOURNAL).unwrap()
}

/// The same with the baht, and accounts 1 and 2, at noon of today.
pub(crate) fn begun(place: &Path) -> Kernel {
    let mut kernel = open(place);
    for ledger in opening(2) {
        ask(&mut kernel, noon(), LEDGER_DOMAIN, ledger.encode());
    }
    kernel
}

/// Somebody has looked at the clock: hours pass between two commands.
pub(crate) fn ask(kernel: &mut Kernel, at: i64, domain: u8, body: Vec<u8>) {
    kernel.accept_time(UnixMillis(at)).unwrap();
    let key = kernel.head().seq.0.to_string();
    decide(kernel, &command(&key, at, domain, body));
}

pub(crate) fn send(kernel: &mut Kernel, at: i64, transfers: &[Transfer]) {
    let sent = LedgerCommand::CreateTransfers(transfers.to_vec());
    ask(kernel, at, LEDGER_DOMAIN, sent.encode());
}

/// Records the file that pays these holds out of account 2, on `execution`.
pub(crate) fn export(
    kernel: &mut Kernel,
    at: i64,
    execution: Day,
    holds: impl IntoIterator<Item = u128>,
) -> ExportRecord {
    let name = |name| Text140::new(name).unwrap();
    let account = |number| AccountNumber::new(number).unwrap();
    let debtor = Debtor {
        name: name("Khlong"),
        account: account("1"),
        agent: Agent::new("KASITHBK").unwrap(),
    };
    let creditor = Creditor {
        name: name("ร้าน"),
        account: account("2"),
        agent: Agent::new("004").unwrap(),
        remittance: None,
    };
    let creditors = holds.into_iter().map(|id| (id, creditor.clone())).collect();
    let batch = PayoutBatch::new(
        kernel.store(),
        debtor,
        2,
        UnixMillis(at),
        execution,
        creditors,
    );
    let record = batch.unwrap().record(PayoutFormat::Pain001).unwrap();
    let exported = BooksCommand::ExportPayouts(record.clone());
    ask(kernel, at, BOOKS_DOMAIN, exported.encode());
    record
}

/// What is handed in to have a hold paid: the same debtor and creditor, with that account.
pub(crate) fn list(hold: u128, account: &str) -> String {
    format!(
        r#"{{"debtor": {{"name": "Khlong", "account": "1", "bank": "KASITHBK"}},
            "creditors": [{{"transfer": "{}", "name": "ร้าน", "account": "{account}", "bank": "004"}}]}}"#,
        id(hold)
    )
}

/// A bank's answer to a batch: of the whole of it, then of its payments.
pub(crate) fn pain002(batch: &str, of_all: &str, of_payments: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId>{of_all}</OrgnlGrpInfAndSts>{of_payments}</CstmrPmtStsRpt></Document>"
    )
}
