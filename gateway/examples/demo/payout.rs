//! The merchant is paid out: a file for the bank, what it answers, and what becomes of the money.

use std::path::Path;

use khlong_gateway::domains::l10n::Satang;
use khlong_gateway::domains::ledger::{
    Failures, LedgerCommand, Transfer, TransferFlags, TransferResult,
};
use serde_json::json;

use crate::books::{BANK, Books, Clock, MERCHANT, pay};
use crate::program::{field, gateway};
use crate::{Failure, check, step};

/// To two accounts of the merchant: hold, and satang.
const PAYOUTS: [(u128, u128); 2] = [(71, 10_000), (72, 5_000)];

pub(crate) fn pay_out(folder: &Path, place: &Path) -> Result<(), Failure> {
    step(
        "Part of what the merchant has is paid out: held, recorded, and written as a file for the bank",
    );
    // The day is over, and the journal's time is that of the system's clock now.
    let clock = Clock::today()?;
    let mut books = Books::open(folder, clock)?;
    let before = books.owed(MERCHANT)?;
    books.send("payouts", &PAYOUTS.map(hold))?;
    drop(books);
    let batch = export(folder, place, clock)?;
    let mut books = Books::open(folder, clock)?;
    let meddling = Transfer {
        id: 73,
        pending_id: 71,
        flags: TransferFlags::VOID_PENDING_TRANSFER,
        ..Transfer::default()
    };
    let asked = LedgerCommand::CreateTransfers(vec![meddling]);
    let (_, Failures(failed)) = books.ask("meddling", &asked)?;
    let reason = failed
        .first()
        .and_then(|(_, code)| TransferResult::from_code(*code));
    check(
        reason == Some(TransferResult::PendingTransferOwned),
        "nobody takes back what the bank may pay: pending_transfer_owned",
    )?;
    drop(books);
    step("The bank answers: one payment is made, one account is closed");
    let file = place.join("answer.xml");
    std::fs::write(&file, answer(&batch))?;
    let asked = ["payout", "settle", "--json"];
    let told = gateway(&asked, &[folder, &file])?;
    let ids = PAYOUTS.map(|(id, _)| format!("{id:032x}"));
    check(
        field(&told, "/posted/0")? == ids[0] && field(&told, "/voided/0")? == ids[1],
        "khlong-gateway payout settle: what was paid is posted, what was rejected comes back",
    )?;
    let again = gateway(&asked, &[folder, &file])?;
    let books = Books::open(folder, clock)?;
    let paid = i64::try_from(PAYOUTS[0].1)?;
    check(
        field(&again, "/settled_by")? == "null"
            && books.owed(MERCHANT)? == Satang(before.0 - paid)
            && books.balances(MERCHANT)?.debits_pending == 0,
        "the answer comes twice and is carried out once",
    )
}

fn hold((id, amount): (u128, u128)) -> Transfer {
    Transfer {
        flags: TransferFlags::PENDING,
        ..pay(id, MERCHANT, BANK, amount)
    }
}

/// Returns the batch.
fn export(folder: &Path, place: &Path, clock: Clock) -> Result<String, Failure> {
    let creditor = |(id, _): (u128, u128)| {
        json!({ "transfer": format!("{id:032x}"), "name": "ร้านก๋วยเตี๋ยวเรือ",
            "account": format!("12345678{id}"), "bank": "004" })
    };
    let list = json!({
        "debtor": { "name": "Khlong", "account": "9876543210", "bank": "KASITHBK" },
        "creditors": PAYOUTS.map(creditor),
    });
    let file = place.join("list.json");
    std::fs::write(&file, list.to_string())?;
    let (clearing, day) = (format!("{BANK:032x}"), clock.day().to_string());
    let asked = ["payout", "export", "--json", "--clearing", &clearing];
    let days = ["--execution", &day, "--list"];
    let told = gateway(&[&asked[..], &days].concat(), &[&file, folder])?;
    check(
        field(&told, "/file")?.contains("<CtrlSum>150.00</CtrlSum>"),
        "khlong-gateway payout export: a pain.001 of 150.00 baht, recorded before it leaves",
    )?;
    field(&told, "/batch")
}

/// As a bank writes it.
fn answer(batch: &str) -> String {
    let payment = |id: u128, status: &str| {
        format!("<TxInfAndSts><OrgnlEndToEndId>{id:032x}</OrgnlEndToEndId>{status}</TxInfAndSts>")
    };
    let paid = payment(71, "<TxSts>ACSC</TxSts>");
    let closed = "<TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>";
    let rejected = payment(72, closed);
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{paid}{rejected}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>\n"
    )
}
