//! The program: what it prints, what it refuses, and with which exit code.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::picture::{read_png, read_svg, read_terminal};
use crate::program;
use crate::vectors::{PUBLISHED, WRONG_CHECKSUM, sealed};

const ONCE_50_BAHT: &str =
    "00020101021229370016A000000677010111011300668123456785303764540550.005802TH63045197";

const HERE: &str = ".";

fn promptpay<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["promptpay"], arguments].concat()
}

fn said(arguments: &[&str]) -> String {
    program::said(Path::new(HERE), &promptpay(arguments))
}

fn object(arguments: &[&str]) -> Value {
    program::object(Path::new(HERE), &promptpay(arguments))
}

fn refused(arguments: &[&str]) -> (i32, String) {
    program::refused(Path::new(HERE), &promptpay(arguments))
}

#[test]
fn encode_prints_the_payload_alone_where_nobody_looks() {
    let arguments = [
        "encode",
        "--mobile",
        "081-234-5678",
        "--amount",
        "50",
        "--dynamic",
    ];
    assert_eq!(said(&arguments), format!("{ONCE_50_BAHT}\n"));
}

#[test]
fn an_amount_is_for_one_payment_unless_told_otherwise() {
    let to = ["encode", "--mobile", "081-234-5678", "--amount", "50"];
    assert_eq!(said(&to), format!("{ONCE_50_BAHT}\n"));
    let poster = said(&[&to[..], &["--reusable"]].concat());
    assert!(poster.starts_with("000201010211"), "{poster}");
    let (code, _) = refused(&[&to[..], &["--reusable", "--dynamic"]].concat());
    assert_eq!(code, 2);
}

#[test]
fn every_recipient_that_encode_takes_decode_names() {
    for (to, recipient) in [
        (
            &["--mobile", "+66812345678"][..],
            json!({"kind": "mobile", "mobile": "0812345678"}),
        ),
        (
            &["--id", "1-2345-67890-12-1"],
            json!({"kind": "id", "id": "1234567890121", "check_digit_right": true}),
        ),
        (
            &["--id", "1111111111111", "--unchecked"],
            json!({"kind": "id", "id": "1111111111111", "check_digit_right": false}),
        ),
        (
            &["--wallet", "140000801111111"],
            json!({"kind": "wallet", "wallet": "140000801111111"}),
        ),
        (
            &["--bank", "014", "--account", "123-4-56789-0"],
            json!({"kind": "account", "bank": "014", "account": "1234567890"}),
        ),
        (
            &["--one-time", "AB12345678"],
            json!({"kind": "one_time", "one_time": "AB12345678"}),
        ),
        (
            &[
                "--biller",
                "099400016550100",
                "--reference1",
                "C1",
                "--reference2",
                "I1",
                "--cross-border",
            ],
            json!({
                "kind": "bill", "biller": "099400016550100", "check_digit_right": true,
                "cross_border": true, "reference1": "C1", "reference2": "I1",
            }),
        ),
    ] {
        let made = object(&[&["--json", "encode"], to].concat());
        assert_eq!(made.get("recipient"), Some(&recipient));
        let text = made.get("payload").unwrap().as_str().unwrap();
        assert_eq!(
            object(&["--json", "decode", text]),
            made,
            "the same object both ways"
        );
    }
}

#[test]
fn decode_shows_everything_that_stands_in_a_code() {
    let arguments = [
        "encode",
        "--mobile",
        "0812345678",
        "--amount",
        "49.75",
        "--dynamic",
        "--name",
        "Noodle boat",
        "--city",
        "Ayutthaya",
        "--postal-code",
        "13000",
        "--category",
        "5812",
        "--reference3",
        "T1",
        "--thai-name",
        "ก๋วยเตี๋ยวเรือ",
        "--thai-city",
        "อยุธยา",
    ];
    let text = said(&arguments);
    let shown = object(&["decode", "--json", text.trim_end()]);
    let expected = json!({
        "schema_version": 1, "kind": "promptpay", "payload": text.trim_end(), "initiation": "dynamic",
        "recipient": {"kind": "mobile", "mobile": "0812345678"},
        "amount": {"satang": 4975, "baht": "49.75"},
        "name": "Noodle boat", "city": "Ayutthaya", "postal_code": "13000", "category": "5812",
        "additional": {"07": "T1"},
        "local": {"language": "th", "name": "ก๋วยเตี๋ยวเรือ", "city": "อยุธยา"},
    });
    assert_eq!(shown, expected);
    let plain = said(&["decode", text.trim_end()]);
    for line in [
        "initiation: dynamic",
        "recipient.mobile: 0812345678",
        "amount.baht: 49.75",
        "local.city: อยุธยา",
    ] {
        assert!(plain.lines().any(|it| it == line), "{line} in {plain}");
    }
}

#[test]
fn decode_keeps_unknown_tags_and_reads_standard_input() {
    let text = sealed("00020180041234535037645802TH29370016A00000067701011101130066812345678")
        .replace("53503764", "5303764");
    let text = sealed(text.get(..text.len() - 8).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .args(["promptpay", "decode", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    drop(stdin);
    let done = child.wait_with_output().unwrap();
    let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(shown.get("other"), Some(&json!({"80": "1234"})));
}

#[test]
fn what_is_wrong_ends_with_its_exit_code_and_says_what_to_do() {
    let long = "0".repeat(600);
    for (arguments, code, words) in [
        (
            &["decode", WRONG_CHECKSUM[0]][..],
            9,
            "tag 63 at offset 75: the checksum is wrong",
        ),
        (&["decode", "4747"], 9, "scan the code again"),
        (&["decode", &long], 9, "at most 512"),
        (&["slip", "decode", PUBLISHED[0].text], 9, "tag 91"),
        (&["encode", "--id", "1234567890122"], 2, "was mistyped"),
        (
            &[
                "encode",
                "--biller",
                "099400016550200",
                "--reference1",
                "C1",
            ],
            2,
            "was mistyped",
        ),
        (
            &["encode", "--biller", "099400016550100"],
            2,
            "--reference1",
        ),
        (&["encode", "--mobile", "0066812345"], 2, "mobile"),
        (
            &["encode", "--account", "1", "--bank", "14"],
            2,
            "three digits",
        ),
        (
            &["encode", "--mobile", "+660812345678"],
            2,
            "no 0 behind +66",
        ),
        (
            &["encode", "--mobile", "0812345678", "--amount", "1,000"],
            2,
            "without sign, space or separators",
        ),
        (
            &["encode", "--mobile", "0812345678", "--amount", "0.001"],
            2,
            "at most two decimals",
        ),
        (
            &[
                "encode",
                "--mobile",
                "0812345678",
                "--wallet",
                "140000801111111",
            ],
            2,
            "cannot be used with",
        ),
        (&["encode", "--amount", "1"], 2, "required"),
        (
            &["encode", "--mobile", "0812345678", "--name", "猫"],
            2,
            "Latin or Thai",
        ),
        (
            &["slip", "encode", "--bank", "14", "--reference", "A1"],
            2,
            "three digits",
        ),
    ] {
        let (exit_code, said) = refused(arguments);
        assert_eq!(exit_code, code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn pictures_are_read_by_a_real_decoder_and_overwrite_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (png, svg) = (path("code.png"), path("code.svg"));
    let arguments = [
        "encode",
        "--mobile",
        "0812345678",
        "--amount",
        "50",
        "--dynamic",
        "--terminal",
        "--png",
        &png,
        "--svg",
        &svg,
    ];
    let shown = said(&arguments);
    let (drawn, text) = shown.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(text, ONCE_50_BAHT);
    assert_eq!(read_terminal(drawn), ONCE_50_BAHT);
    assert_eq!(read_png(&std::fs::read(&png).unwrap()), ONCE_50_BAHT);
    assert_eq!(
        read_svg(&std::fs::read_to_string(&svg).unwrap()),
        ONCE_50_BAHT
    );

    // What one failed call made does not stop the next.
    std::fs::remove_file(&png).unwrap();
    let (code, said) = refused(&arguments);
    assert_eq!((code, Path::new(&png).exists()), (3, false), "{said}");
    std::fs::write(&png, "somebody's own").unwrap();
    let (code, said) = refused(&arguments);
    assert_eq!((code, said.contains("exists already")), (3, true), "{said}");
    assert_eq!(std::fs::read(&png).unwrap(), b"somebody's own");
    let nowhere = path("no/folder.png");
    let (code, said) = refused(&["encode", "--mobile", "0812345678", "--png", &nowhere]);
    assert_eq!((code, Path::new(&nowhere).exists()), (1, false), "{said}");
}

/// On a pseudo-terminal of the system, whose other side is read.
#[test]
fn a_terminal_shows_the_code_without_being_asked() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut screen = File::from(master);
    let reader = std::thread::spawn(move || {
        let (mut all, mut bytes) = (Vec::new(), [0; 4_096]);
        // The last program that has the terminal is gone: an error on Linux.
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            all.extend_from_slice(bytes.get(..count).unwrap());
        }
        String::from_utf8(all).unwrap()
    });
    let status = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .args([
            "promptpay",
            "encode",
            "--mobile",
            "0812345678",
            "--amount",
            "50",
            "--dynamic",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::from(terminal))
        .status()
        .unwrap();
    assert!(status.success());
    let shown = reader.join().unwrap().replace('\r', "");
    let (drawn, text) = shown.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(text, ONCE_50_BAHT);
    assert_eq!(read_terminal(drawn), ONCE_50_BAHT);
}

#[test]
fn slips_are_made_and_read() {
    let arguments = [
        "slip",
        "encode",
        "--bank",
        "002",
        "--reference",
        "0002123123121200011",
    ];
    let text = said(&arguments);
    assert_eq!(
        text,
        "004000060000010103002021900021231231212000115102TH91049C30\n"
    );
    let shown = object(&["--json", "slip", "decode", text.trim_end()]);
    let expected = json!({
        "schema_version": 1, "kind": "promptpay_slip", "payload": text.trim_end(),
        "bank": "002", "reference": "0002123123121200011",
    });
    assert_eq!(shown, expected);
}
