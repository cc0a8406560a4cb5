//! The day is closed, and compared with what the bank says of it.

use std::collections::BTreeMap;
use std::path::Path;

use khlong_gateway::domains::books::Day;
use serde_json::Value;

use crate::books::{BANK, Books, MERCHANT, OTHERS, pay};
use crate::program::{field, gateway, said};
use crate::{Failure, check, step};

/// Deposits of other people: id, and satang.
const DEPOSITS: [(u128, u128); 5] = [
    (31, 10_000),
    (32, 25_000),
    (33, 8_000),
    (34, 50_000),
    (35, 12_000),
];

/// What the bank says of them, in its file. It names our transfers; of a hold, its first one.
const BANK_LINES: [(&str, Option<u128>); 8] = [
    ("349.75", Some(1)),
    ("100.00", Some(31)),
    // 32 is missing.
    ("80.00", Some(33)),
    ("80.00", Some(33)),
    ("300.00", Some(34)),
    ("200.00", Some(34)),
    ("120.01", Some(35)),
    ("42.00", None),
];

/// Of deposit 33 the first line matches, and the second is one too many.
const MATCHED: &str = "3";
const PLANTED: [&str; 5] = ["duplicate", "extra", "missing", "one_satang", "split"];

/// Lines of the statement that are printed.
const LINES: &str = "6";

pub(crate) fn deposit(books: &mut Books) -> Result<(), Failure> {
    step("Other people pay in");
    let deposits = DEPOSITS.map(|(id, amount)| pay(id, BANK, OTHERS, amount));
    books.send("deposits", &deposits)?;
    let sum = DEPOSITS.iter().map(|(_, amount)| amount).sum();
    check(
        books.balances(OTHERS)?.credits_posted == sum,
        "five deposits are booked",
    )
}

/// By the program, which asks the system's clock.
pub(crate) fn close(folder: &Path, day: Day) -> Result<(), Failure> {
    step("The day is over by the system's clock, and is closed");
    let day_text = day.to_string();
    // This day and no later one, should it be midnight.
    let asked = ["close", "--json", "--through", &day_text];
    let told = gateway(&asked, &[folder])?;
    let records = field(&told, "/closes/0/records")?;
    check(
        field(&told, "/closes/0/day")? == day.to_string(),
        &format!("{day}: {records} records, each in this day and in no other"),
    )?;
    let hash = field(&told, "/closes/0/hash")?;
    let again = gateway(&asked, &[folder])?;
    let audit = gateway(&["audit", "--json"], &[folder])?;
    check(
        field(&again, "/closes")? == "[]" && field(&audit, "/close/hash")? == hash,
        &format!("closed once; added up again it has the same hash, {hash}"),
    )
}

pub(crate) fn reconcile(folder: &Path, day: Day, place: &Path) -> Result<(), Failure> {
    step("The bank's file comes in, with five faults that were put into it");
    let mut text = String::from("date,time,amount,reference,direction\n");
    for (amount, transfer) in BANK_LINES {
        let reference = transfer.map_or("CASH 7".to_owned(), |id| format!("{id:032x}"));
        text += &format!("{day},13:00,{amount},{reference},in\n");
    }
    let file = place.join("bank.csv");
    std::fs::write(&file, text)?;
    let before = balance(folder, BANK, day)?;
    let (account, day_text) = (format!("{BANK:032x}"), day.to_string());
    let days = ["--from", &day_text, "--to", &day_text];
    let asked = ["reconcile", "--json", "--record", "--account", &account];
    let told = gateway(&[&asked[..], &days].concat(), &[folder, &file])?;
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let differences = told.pointer("/differences").and_then(Value::as_array);
    for difference in differences.ok_or("no differences")? {
        let (kind, apart) = (
            field(difference, "/kind")?,
            field(difference, "/difference")?,
        );
        println!("    {kind:<12}{apart:>10}");
        *kinds.entry(kind).or_default() += 1;
    }
    let matched = field(&told, "/matched")?;
    check(
        kinds.keys().eq(&PLANTED) && kinds.values().all(|count| *count == 1) && matched == MATCHED,
        &format!("khlong-gateway reconcile: each is told by its kind, and {matched} lines match"),
    )?;
    check(
        balance(folder, BANK, day)? == before,
        &format!("no balance has changed: the bank's account has {before}"),
    )
}

pub(crate) fn statement(folder: &Path, day: Day) -> Result<(), Failure> {
    step("The merchant's statement");
    let (account, day_text) = (format!("{MERCHANT:032x}"), day.to_string());
    let asked = ["statement", "--account", &account, "--from", &day_text];
    let rest = ["--to", &day_text, "--language", "en", "--max", LINES];
    for line in said(&[&asked[..], &rest].concat(), &[folder])?.lines() {
        println!("    {line}");
    }
    println!("    … and so on");
    Ok(())
}

/// The closing balance of an account's statement, which agrees with the close.
fn balance(folder: &Path, account: u128, day: Day) -> Result<String, Failure> {
    let (account, day) = (format!("{account:032x}"), day.to_string());
    let asked = ["statement", "--json", "--account", &account];
    let days = ["--from", &day, "--to", &day, "--max", "1"];
    let told = gateway(&[&asked[..], &days].concat(), &[folder])?;
    field(&told, "/closing/balance")
}
