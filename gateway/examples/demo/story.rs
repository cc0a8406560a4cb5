//! What happens, in order, and what is checked.

use std::path::Path;

use khlong_gateway::domains::l10n::{Digits, Formats, Language, Satang};
use khlong_gateway::domains::ledger::{
    Asset, Failures, LedgerCommand, Transfer, TransferFlags, TransferResult,
};
use khlong_gateway::domains::promptpay::{Initiation, Payload, Picture, Recipient};

use crate::books::{
    BAHT, BANK, Books, Clock, FEES, MERCHANT, OTHERS, SHOPPER, opened, pay, satang,
};
use crate::program::{field, gateway};
use crate::{Failure, check, crash, evening, payout, step};

/// 349.75 baht.
const PRICE: u128 = 34_975;
/// 1.5 %, in hundredths of a percent.
const FEE_BASIS_POINTS: u128 = 150;
const REFUND: u128 = 10_000;

pub(crate) fn tell() -> Result<(), Failure> {
    let place = tempfile::Builder::new()
        .prefix("khlong-gateway-demo-")
        .tempdir()?;
    let folder = place.path().join("books");
    let formats = Formats::new(Language::English, Digits::Western)?;
    step("A gateway's folder is made, and accounts of a shopper, a merchant and the gateway");
    gateway(&["init"], &[&folder])?;
    let clock = Clock::yesterday()?;
    println!("  All of it is dated {}, from noon on.", clock.day());
    let mut books = Books::open(&folder, clock)?;
    open_accounts(&mut books)?;
    step("The shopper is shown a Thai QR");
    show_code(&formats)?;
    be_paid(&mut books, &formats)?;
    buy_and_refund(&mut books, &formats)?;
    evening::deposit(&mut books)?;
    step("A process that sends transfers of one satang is killed (SIGKILL)");
    let before = books.owed(MERCHANT)?;
    // The folder is for one process.
    drop(books);
    let acknowledged = crash::run_and_kill(&folder, clock)?;
    let mut books = Books::open(&folder, clock)?;
    let sent = crash::go_on(&mut books, acknowledged)?;
    check(
        books.owed(MERCHANT)? == Satang(before.0 + i64::try_from(sent)?),
        &format!("the merchant has {sent} satang more: every transfer once, none twice"),
    )?;
    report(&books, &formats)?;
    drop(books);
    evening::close(&folder, clock.day())?;
    evening::reconcile(&folder, clock.day(), place.path())?;
    evening::statement(&folder, clock.day())?;
    payout::pay_out(&folder, place.path())?;
    step("Anybody who has the folder can check it");
    examine(&folder, &place.path().join("rebuilt"))
}

fn open_accounts(books: &mut Books) -> Result<(), Failure> {
    let baht = Asset {
        ledger: BAHT,
        scale: 2,
        symbol: *b"THB\0\0\0\0\0",
    };
    let accounts = [BANK, FEES, SHOPPER, MERCHANT, OTHERS].map(opened).to_vec();
    let assets = books.ask("baht", &LedgerCommand::CreateAssets(vec![baht]))?;
    let accounts = books.ask("accounts", &LedgerCommand::CreateAccounts(accounts))?;
    check(
        assets.1.0.is_empty() && accounts.1.0.is_empty(),
        "five accounts in baht; only the bank's may be overdrawn",
    )
}

fn show_code(formats: &Formats) -> Result<(), Failure> {
    let price = satang(PRICE, 0)?;
    let mut payload = Payload::to(Recipient::Mobile("081-234-5678".parse()?));
    payload.initiation = Initiation::Dynamic;
    payload.amount = Some(price);
    let text = payload.encode()?;
    for line in Picture::of(&text)?.terminal().lines() {
        println!("    {line}");
    }
    check(
        Payload::decode(&text)?.amount == Some(price),
        &format!("the code asks for {}: {text}", formats.money(price)),
    )
}

/// Money comes in from the bank: held until the bank says that it is there.
fn be_paid(books: &mut Books, formats: &Formats) -> Result<(), Failure> {
    step("The payment is booked as pending");
    let hold = Transfer {
        flags: TransferFlags::PENDING,
        timeout: 900,
        ..pay(1, BANK, SHOPPER, PRICE)
    };
    books.send("payment", &[hold])?;
    let balances = books.balances(SHOPPER)?;
    check(
        (balances.credits_pending, balances.credits_posted) == (PRICE, 0),
        "the shopper is to have it, and cannot spend it yet",
    )?;
    let early = LedgerCommand::CreateTransfers(vec![pay(2, SHOPPER, MERCHANT, PRICE)]);
    let (_, Failures(failed)) = books.ask("too early", &early)?;
    let reason = failed
        .first()
        .and_then(|(_, code)| TransferResult::from_code(*code));
    check(
        failed.len() == 1 && reason == Some(TransferResult::ExceedsCredits),
        "a purchase with it is refused: exceeds_credits",
    )?;
    step("The bank's notice comes in (simulated here), and the payment is posted");
    let post = Transfer {
        id: 3,
        pending_id: 1,
        amount: PRICE,
        flags: TransferFlags::POST_PENDING_TRANSFER,
        ..Transfer::default()
    };
    let first = books.send("notice of payment 1", &[post])?;
    let again = books.send("notice of payment 1", &[post])?;
    let owed = books.owed(SHOPPER)?;
    check(
        again == first
            && books.balances(SHOPPER)?.credits_pending == 0
            && owed == satang(PRICE, 0)?,
        &format!(
            "the shopper has {}, although the notice came twice",
            formats.money(owed)
        ),
    )
}

fn buy_and_refund(books: &mut Books, formats: &Formats) -> Result<(), Failure> {
    step("The shopper buys; price and fee are booked both or neither");
    let fee = (PRICE * FEE_BASIS_POINTS + 5_000) / 10_000;
    let purchase = Transfer {
        flags: TransferFlags::LINKED,
        ..pay(4, SHOPPER, MERCHANT, PRICE)
    };
    books.send("purchase", &[purchase, pay(5, MERCHANT, FEES, fee)])?;
    let earned = books.owed(FEES)?;
    check(
        books.owed(SHOPPER)? == Satang(0)
            && books.owed(MERCHANT)? == satang(PRICE, fee)?
            && earned == satang(fee, 0)?,
        &format!(
            "the merchant has {}, the gateway its fee of {}",
            formats.money(books.owed(MERCHANT)?),
            formats.money(earned)
        ),
    )?;
    step("A part of the price is given back");
    books.send("refund", &[pay(6, MERCHANT, SHOPPER, REFUND)])?;
    let refunded = books.owed(SHOPPER)?;
    check(
        refunded == satang(REFUND, 0)?,
        &format!("the shopper has {} again", formats.money(refunded)),
    )
}

fn report(books: &Books, formats: &Formats) -> Result<(), Failure> {
    step("Balances");
    let mut sum = 0;
    for (name, id) in [
        ("bank", BANK),
        ("fees", FEES),
        ("shopper", SHOPPER),
        ("merchant", MERCHANT),
        ("others", OTHERS),
    ] {
        let owed = books.owed(id)?;
        sum += owed.0;
        println!("    {name:<10}{:>16}", formats.money(owed));
    }
    check(sum == 0, "together they are nothing: money is only moved")
}

/// By the program that an operator uses.
fn examine(folder: &Path, into: &Path) -> Result<(), Failure> {
    let verified = gateway(&["verify", "--json"], &[folder])?;
    let imbalance = field(&verified, "/assets/0/imbalance")?;
    check(
        imbalance == "0",
        &format!(
            "khlong-gateway verify: {} entries in an unbroken chain, imbalance {imbalance}",
            field(&verified, "/entries")?
        ),
    )?;
    let replayed = gateway(&["replay", "--json", "--into"], &[into, folder])?;
    check(
        field(&replayed, "/replayed_state")? == field(&verified, "/state")?,
        "khlong-gateway replay: rebuilt from the journal alone, everything is the same",
    )
}
