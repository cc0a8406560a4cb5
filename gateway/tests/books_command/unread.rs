//! What was carried out although nobody could be told.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use khlong_gateway::domains::books::payout::batch_of;
use khlong_store::peek::Peek;

use crate::fixture::hold;
use crate::folder::{self, TODAY, list, open, send};
use crate::payouts::{export_on, today};
use crate::program::said;
use crate::told::{self, checks_out};

/// The exit code, and what was said on standard error.
fn told_to(place: &Path, arguments: &[&str], output: Stdio) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    (
        done.status.code().unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    )
}

fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

/// Its holds are in a batch from then on: who would export again would be refused, and has no file.
#[test]
fn a_file_of_payouts_that_went_nowhere_is_no_success() {
    let place = told::folder();
    let at = place.path();
    send(
        &mut open(at),
        TODAY.end().0,
        &[hold(9, 1, 2, 700, 0), hold(10, 1, 2, 100, 0)],
    );
    let (clearing, day) = (folder::id(2), today().next().to_string());
    for (transfer, output) in [(9, gone()), (10, full())] {
        fs::write(at.join("list.json"), list(transfer, "2")).unwrap();
        let (code, words) = told_to(at, &export_on(&day, &clearing), output);
        assert_eq!(code, 1, "{words}");
        let peek = Peek::open(&at.join("gateway")).unwrap();
        let batch = batch_of(&peek, transfer).unwrap().unwrap();
        let batch = format!("{batch:032x}");
        assert!(
            words.contains(&batch) && words.contains("payout again"),
            "{words}"
        );
        let again = [
            "payout",
            "again",
            "gateway",
            "--batch",
            &batch,
            "--list",
            "list.json",
        ];
        assert!(said(at, &again).contains(&batch));
    }
    checks_out(at);
}

#[test]
fn what_was_done_is_not_told_as_a_full_disk() {
    let place = tempfile::tempdir().unwrap();
    let (code, words) = told_to(place.path(), &["init", "books"], full());
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("do not repeat it"), "{words}");
    assert!(said(place.path(), &["verify", "books"]).contains("entries"));
    // A reader that has gone away wanted no more.
    let (code, words) = told_to(place.path(), &["init", "others"], gone());
    assert_eq!(code, 0, "{words}");
    // What only tells is told as ever.
    let (code, words) = told_to(place.path(), &["verify", "books"], full());
    assert_eq!(code, 7, "{words}");
    assert_eq!(told_to(place.path(), &["export", "books"], gone()).0, 0);
}
