//! Payouts: the file, its record, and what the bank answers.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::decimal;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, ExportAnswer, ExportRecord, PayoutBatch, PayoutError, PayoutFormat,
    Text140, batch_of, exported, settle, settling_id,
};
use khlong_gateway::domains::ledger::{
    Account, Asset, LedgerCommand, Transfer, TransferFlags, TransferResult,
};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::fixture::{hold, pay, void, with};
use crate::office::{Office, TODAY, start_again};
use crate::pain002::{of_payments, original, parse, reason, report};
use crate::shops::{CLEARING, answered, batch, creditor, debtor, export, noted, shops};

/// The texts of the elements at a path, in order.
fn texts(xml: &[u8], path: &str) -> Vec<String> {
    let mut reader = Reader::from_str(str::from_utf8(xml).unwrap());
    let (mut here, mut found) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().unwrap();
        if let Event::Start(start) = &event {
            here.push(start.name().as_ref().to_owned());
        } else if let Event::End(_) = event {
            here.pop();
        } else if let Event::Text(text) = &event
            && here.join("/") == path
        {
            found.push(text.xml10_content().into_owned());
        } else if let Event::Eof = event {
            return found;
        }
    }
}

#[test]
fn the_file_says_what_the_ledger_holds() {
    let (office, creditors) = shops();
    let batch = batch(&office, &creditors).unwrap();
    let held = office.bank.balances(CLEARING)[2];
    assert_eq!((batch.sum(), batch.payouts.len()), (held, 3));
    let xml = batch.file(PayoutFormat::Pain001).unwrap();
    let message = "Document/CstmrCdtTrfInitn";
    let id = format!("{:032x}", batch.id());
    for part in ["GrpHdr", "PmtInf"] {
        let of = |name: &str| texts(&xml, &format!("{message}/{part}/{name}"));
        assert_eq!(of("NbOfTxs"), ["3"]);
        assert_eq!(of("CtrlSum"), [decimal(held, 2)]);
    }
    assert_eq!(
        texts(&xml, &format!("{message}/GrpHdr/MsgId")),
        [id.as_str()]
    );
    assert_eq!(
        texts(&xml, &format!("{message}/GrpHdr/CreDtTm")),
        ["2026-11-27T05:00:00Z"]
    );
    assert_eq!(
        texts(&xml, &format!("{message}/PmtInf/ReqdExctnDt/Dt")),
        ["2026-11-27"]
    );
    let payment = |path: &str| texts(&xml, &format!("{message}/PmtInf/CdtTrfTxInf/{path}"));
    let ids: Vec<_> = (1..=3).map(|id| format!("{id:032x}")).collect();
    assert_eq!(payment("PmtId/EndToEndId"), ids);
    assert_eq!(payment("Amt/InstdAmt"), ["1234.56", "1.00", "0.05"]);
    assert_eq!(payment("Cdtr/Nm")[0], "ร้านก๋วยเตี๋ยวเรือ");
    assert_eq!(payment("CdtrAgt/FinInstnId/ClrSysMmbId/MmbId"), ["004"; 3]);
    let csv = String::from_utf8(batch.file(PayoutFormat::Csv).unwrap()).unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[2],
        format!(
            "{id},2026-11-27,{},1.00,THB,Somchai (Bangkok),1234567890,004,\"Sales, 27 Nov\"",
            ids[1]
        )
    );
    // Whoever puts it together, in whatever order, it is the same batch.
    let mut others = creditors;
    others.reverse();
    let at = UnixMillis(office.bank.now);
    let same = PayoutBatch::new(office.store(), debtor(), CLEARING, at, TODAY, others).unwrap();
    assert_eq!(same.file(PayoutFormat::Pain001).unwrap(), xml);
}

#[test]
fn a_crash_between_record_and_file_pays_nobody_twice() {
    let (mut office, creditors) = shops();
    let first = batch(&office, &creditors).unwrap();
    let record = first.record(PayoutFormat::Pain001).unwrap();
    let written = first.file(PayoutFormat::Pain001).unwrap();
    let answer = export(&mut office, &record);
    assert!(matches!(answer, ExportAnswer::Recorded(_, _)), "{answer:?}");
    drop(first);
    start_again(&mut office.bank);
    office.bank.now += 3_600_000;
    // It is recorded once, and the file comes out the same to the byte, at any later time.
    assert_eq!(export(&mut office, &record), answer);
    let known = exported(office.store(), record.batch).unwrap().unwrap();
    assert_eq!(known.record, record);
    let again = PayoutBatch::again(office.store(), debtor(), &known, creditors.clone()).unwrap();
    assert_eq!(again.file(PayoutFormat::Pain001).unwrap(), written);
    // No other file of these holds leaves: not a later one, not another format, not with another account.
    let later = batch(&office, &creditors).unwrap();
    for other in [PayoutFormat::Pain001, PayoutFormat::Csv] {
        let other = later.record(other).unwrap();
        let told = export(&mut office, &other);
        assert_eq!(told, ExportAnswer::OtherFile(record.file_digest));
    }
    let mut changed = creditors.clone();
    changed[0].1.account = AccountNumber::new("666").unwrap();
    let told = PayoutBatch::again(office.store(), debtor(), &known, changed);
    assert!(
        matches!(told, Err(PayoutError::OtherFile { .. })),
        "{told:?}"
    );
    // Nor does one of them leave in another batch.
    let part = batch(&office, &creditors[..1]).unwrap();
    let told = export(&mut office, &part.record(PayoutFormat::Pain001).unwrap());
    assert_eq!(told, ExportAnswer::InBatch(1, record.batch));
    assert_eq!(batch_of(office.store(), 2).unwrap(), Some(record.batch));
    office.assert_replays();
}

#[test]
fn what_is_no_hold_for_the_clearing_account_is_not_paid_out() {
    let (mut office, creditors) = shops();
    office.pay(&[
        hold(10, 3, CLEARING, 5, 60),
        hold(11, 3, 6, 5, 0),
        pay(12, 3, CLEARING, 5),
        hold(13, 3, CLEARING, 0, 0),
        hold(14, 3, CLEARING, 5, 0),
        void(15, 14),
    ]);
    for id in [10, 11, 12, 13, 14, 15, 99] {
        let told = batch(&office, &[(id, creditor("A"))]);
        assert!(
            matches!(told, Err(PayoutError::Unfit { transfer, .. }) if transfer == id),
            "{id}: {told:?}"
        );
        // The command checks for itself.
        let mut record = batch(&office, &creditors)
            .unwrap()
            .record(PayoutFormat::Csv)
            .unwrap();
        record.transfers = vec![1, id];
        assert_eq!(export(&mut office, &record), ExportAnswer::Unfit(id));
    }
    let good = batch(&office, &creditors)
        .unwrap()
        .record(PayoutFormat::Csv)
        .unwrap();
    let more = ExportRecord {
        sum: good.sum + 1,
        ..good.clone()
    };
    let other = ExportRecord {
        batch: 7,
        ..good.clone()
    };
    for record in [more, other] {
        assert_eq!(export(&mut office, &record), ExportAnswer::Differs);
    }
    assert_eq!(exported(office.store(), good.batch).unwrap(), None);
    let twice = [creditors[0].clone(), creditors[0].clone()];
    assert!(matches!(
        batch(&office, &twice),
        Err(PayoutError::Twice { transfer: 1 })
    ));
    assert!(matches!(
        batch(&office, &[]),
        Err(PayoutError::Count { found: 0 })
    ));
}

#[test]
fn paid_ones_post_rejected_ones_come_back_and_others_wait() {
    let (mut office, creditors) = shops();
    let record = batch(&office, &creditors)
        .unwrap()
        .record(PayoutFormat::Pain001)
        .unwrap();
    let before = settle(
        office.store(),
        &parse(&report(&original(record.batch, ""))).unwrap(),
    );
    assert!(
        matches!(before, Err(PayoutError::UnknownBatch { .. })),
        "{before:?}"
    );
    export(&mut office, &record);
    let id = record.batch;
    let taken = answered(&mut office, &report(&original(id, "<GrpSts>ACCP</GrpSts>")));
    assert_eq!((taken.waiting, taken.transfers), (vec![1, 2, 3], vec![]));
    let text = report(
        &(original(id, "<GrpSts>PART</GrpSts>")
            + &of_payments(&[(1, "ACSC"), (2, "RJCT"), (77, "ACSC")])),
    );
    let told = answered(&mut office, &text);
    assert_eq!(
        (&told.posted, &told.voided, &told.waiting),
        (&vec![1], &vec![2], &vec![3])
    );
    assert_eq!(told.foreign, [format!("{:032x}", 77)]);
    // Account 4 has its hundred satang back; account 3 has paid what hold 1 held.
    assert_eq!(office.bank.balances(4), [0, 0, 0, 0]);
    assert_eq!(office.bank.balances(3), [5, 123_456, 0, 1_000_000]);
    assert_eq!(office.bank.balances(CLEARING), [0, 0, 5, 123_456]);
    assert_ne!(
        settling_id(&record, 1, true, 0),
        settling_id(&record, 1, false, 0)
    );
    // The report comes again, and one that says the opposite.
    let again = answered(&mut office, &text);
    assert_eq!((again.settled, again.transfers), (vec![1, 2], vec![]));
    let opposite = report(&(original(id, "") + &of_payments(&[(1, "RJCT"), (2, "ACCC")])));
    let told = answered(&mut office, &opposite);
    assert_eq!((told.contradicted, told.transfers), (vec![1, 2], vec![]));
    // The rest is rejected with the whole.
    let whole = format!("<GrpSts>RJCT</GrpSts>{}", reason("FF01"));
    let told = answered(&mut office, &report(&original(id, &whole)));
    assert_eq!((told.voided, told.contradicted), (vec![3], vec![1]));
    assert_eq!(office.bank.balances(CLEARING), [0, 0, 0, 123_456]);
    office.assert_replays();
}

#[test]
fn a_report_that_is_sent_twice_before_it_is_applied_settles_once() {
    let (mut office, creditors) = shops();
    let record = batch(&office, &creditors)
        .unwrap()
        .record(PayoutFormat::Pain001)
        .unwrap();
    export(&mut office, &record);
    let report = parse(&report(&original(record.batch, "<GrpSts>ACSC</GrpSts>"))).unwrap();
    let told: Vec<Transfer> = noted(&mut office, &report).transfers;
    assert_eq!(office.bank.send(&told), [TransferResult::Ok; 3]);
    assert_eq!(office.bank.send(&told), [TransferResult::Exists; 3]);
    assert_eq!(office.bank.balances(CLEARING)[3], record.sum);
}

/// Account 32 and hold 30 towards it, in points.
fn hold_points(office: &mut Office) {
    let points = Asset {
        ledger: 9,
        scale: 2,
        symbol: *b"PTS\0\0\0\0\0",
    };
    let account = |id| Account {
        id,
        ledger: 9,
        code: 1,
        ..Default::default()
    };
    office.bank.ask(&LedgerCommand::CreateAssets(vec![points]));
    let failed = office.bank.ask(&LedgerCommand::CreateAccounts(vec![
        account(31),
        account(32),
    ]));
    assert_eq!(failed, vec![]);
    let held = Transfer {
        ledger: 9,
        ..hold(30, 31, 32, 5, 0)
    };
    office.pay(&[held]);
}

#[test]
fn a_hold_of_another_asset_is_not_recorded_for_a_bank() {
    let (mut office, creditors) = shops();
    hold_points(&mut office);
    let mut record = batch(&office, &creditors)
        .unwrap()
        .record(PayoutFormat::Csv)
        .unwrap();
    (record.clearing, record.transfers) = (32, vec![30]);
    assert_eq!(export(&mut office, &record), ExportAnswer::Unfit(30));
}

/// Whoever is told by a command that a hold is unfit hears that it is settled
/// ([`ExportAnswer::refusal`]): whatever else a command refuses is refused before there is one.
#[test]
fn of_what_a_command_refuses_only_a_settled_hold_gets_so_far() {
    let (mut office, creditors) = shops();
    hold_points(&mut office);
    let closing = TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT);
    office.pay(&[
        hold(10, 3, CLEARING, 5, 60),
        hold(11, 3, 6, 5, 0),
        pay(12, 3, CLEARING, 5),
        hold(13, 3, CLEARING, 0, 0),
        hold(14, 3, CLEARING, 5, 0),
        void(15, 14),
        with(pay(16, 4, CLEARING, 5), closing),
    ]);
    let good = batch(&office, &creditors).unwrap();
    let good = good.record(PayoutFormat::Csv).unwrap();
    let asked = |office: &Office, clearing, transfer| {
        let (at, who) = (UnixMillis(office.bank.now), vec![(transfer, creditor("A"))]);
        PayoutBatch::asked(office.store(), debtor(), clearing, at, TODAY, who)
    };
    let to_clearing = [10, 11, 12, 13, 15, 16, 99].map(|id| (id, CLEARING));
    for (id, clearing) in to_clearing.into_iter().chain([(30, 32)]) {
        let told = asked(&office, clearing, id);
        assert!(
            matches!(told, Err(PayoutError::Unfit { transfer, .. }) if transfer == id),
            "{id}: {told:?}"
        );
        let record = ExportRecord {
            clearing,
            transfers: vec![id],
            ..good.clone()
        };
        assert_eq!(export(&mut office, &record), ExportAnswer::Unfit(id));
    }
    let settled = asked(&office, CLEARING, 14).unwrap();
    let record = settled.record(PayoutFormat::Csv).unwrap();
    let answer = export(&mut office, &record);
    assert_eq!(answer, ExportAnswer::Unfit(14));
    let why = answer.refusal(record.batch).unwrap().to_string();
    assert!(why.ends_with("it is settled already"), "{why}");
}

#[test]
fn texts_keep_to_what_banks_take() {
    for good in [
        "A",
        "ร้านน้ำ ๑",
        "O'Neill + Sons (Bangkok), Ltd.?",
        &"ก".repeat(140),
    ] {
        assert_eq!(Text140::new(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        " A",
        "A ",
        "=1+1",
        "-1",
        "+66",
        "A&B",
        "<A>",
        "A\nB",
        "é",
        "\u{e3b}",
        "名",
        &"A".repeat(141),
    ] {
        assert!(Text140::new(bad).is_err(), "{bad}");
    }
    // Whoever must find the name in a list sees it as it stands there.
    let told = Text140::new("ร้านก๋วยเตี๋ยวเรือ!").unwrap_err().to_string();
    assert!(told.starts_with("`ร้านก๋วยเตี๋ยวเรือ!` cannot stand"), "{told}");
    let told = Text140::new("A\n\u{202e}").unwrap_err().to_string();
    assert!(told.starts_with("`A\\n\\u{202e}` cannot stand"), "{told}");
    for bad in ["", "12 3", "12-3", &"1".repeat(35), "๑"] {
        assert!(AccountNumber::new(bad).is_err(), "{bad}");
    }
    for good in ["004", "KASITHBK", "KASITHBKXXX", "AB12TH22"] {
        assert_eq!(Agent::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "04", "0044", "kasithbk", "KASI12BK", "KASITHBKX", "ก04"] {
        assert!(Agent::new(bad).is_err(), "{bad}");
    }
}
