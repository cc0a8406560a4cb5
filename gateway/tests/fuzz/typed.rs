//! What an operator types, or has in a file: the list of who is paid, and an entry with its hash.

use clap::Parser as _;
use khlong_gateway::cli::books::BooksError;
use khlong_gateway::cli::{Arguments, CliError, Published};
use serde_json::json;

use crate::fuzzing::{Seeds, fuzz};

fuzz!(fuzz_payout_list, 300, lists(), list());

/// The list of `payout export` and `payout again`.
fn lists() -> Seeds {
    let debtor = json!({ "name": "Khlong", "account": "9876543210", "bank": "KASITHBK" });
    let creditor = |transfer: &str| json!({ "transfer": transfer, "name": "ร้านก๋วยเตี๋ยวเรือ", "account": "1234567890", "bank": "004" });
    let id = format!("{:032x}", 41);
    let mut noted = creditor(&format!("{:032X}", u128::MAX));
    noted["remittance"] = json!("Sales, 27 Nov");
    let list =
        |creditors: &[serde_json::Value]| json!({ "debtor": debtor, "creditors": creditors });
    let genuine = [list(&[creditor(&id), noted.clone()]), list(&[])];
    let mut unknown = list(&[noted]);
    unknown["more"] = json!(1);
    // An id in decimal, as over HTTP; a member that nobody knows; nobody who pays.
    let others = [
        list(&[creditor("41")]),
        unknown,
        json!({ "creditors": [creditor(&id)] }),
    ];
    let bytes = |list: serde_json::Value| list.to_string().into_bytes();
    Seeds::and(genuine.map(bytes).to_vec(), others.map(bytes).to_vec())
}

/// The list is read before the folder, which is none: what is said of that comes of a list that
/// was taken.
fn list() -> impl Fn(&[u8]) -> bool {
    let home = tempfile::tempdir().unwrap();
    let (path, folder) = (home.path().join("list.json"), home.path().join("none"));
    let batch = format!("{:032x}", 5);
    move |bytes| {
        let _home = &home;
        std::fs::write(&path, bytes).unwrap();
        let typed = ["khlong-gateway", "payout", "again"].map(Into::into);
        let named = [
            folder.clone().into_os_string(),
            "--batch".into(),
            batch.clone().into(),
            "--list".into(),
            path.clone().into_os_string(),
        ];
        let typed: Vec<std::ffi::OsString> = typed.into_iter().chain(named).collect();
        let told = Arguments::try_parse_from(typed).unwrap().execute();
        let error = told.unwrap_err();
        assert!(!error.to_string().is_empty());
        assert!(!folder.exists(), "nothing is made");
        let CliError::Books(error) = &error else {
            panic!("{error:?}");
        };
        let is_of_list = matches!(
            error,
            BooksError::List(_) | BooksError::Transfer { .. } | BooksError::Payout(_)
        );
        !is_of_list
    }
}

fuzz!(fuzz_published, 2_000, published(), entry);

/// `ENTRY:HASH`.
fn published() -> Seeds {
    let hash = blake3::hash(b"entry").to_hex().to_string();
    let genuine = [
        format!("17:{hash}"),
        format!("0:{}", hash.to_uppercase()),
        format!("{}:{hash}", u64::MAX),
    ];
    let others = [hash.clone(), format!(":{hash}"), format!("17:{hash}0")];
    Seeds::and(
        genuine.map(String::into_bytes).to_vec(),
        others.map(String::into_bytes).to_vec(),
    )
}

fn entry(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match text.parse::<Published>() {
        Ok(published) => {
            let (entry, hash) = text.split_once(':').unwrap();
            let entry = entry.trim_start_matches('+').trim_start_matches('0');
            let written = published.entry.to_string();
            assert_eq!(written.trim_start_matches('0'), entry);
            assert_eq!(*published.hash.to_hex(), hash.to_lowercase());
            true
        }
        Err(why) => {
            assert!(!why.is_empty());
            false
        }
    }
}
