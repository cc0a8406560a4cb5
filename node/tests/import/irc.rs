//! IRC: a day file, a folder of them, and a real channel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use khlong_node::import::{
    ImportError, Network, SkipReason, irc_day_files, parse_irc, read_export,
};

use crate::{all_told, keys, skips, testdata};

#[test]
fn irc_day() {
    let bytes = fs::read(testdata("import/2009-11-13.txt")).unwrap();
    let parsed = parse_irc("logs/2009-11-13.txt", &bytes).unwrap();
    assert_eq!(
        all_told(&parsed),
        [
            "2009-11-13T12:41:00Z mali: the relay is up",
            "2009-11-13T12:42:00Z ton: firignng bold and red text, ,x",
            "2009-11-13T12:42:00Z somchai: I have ops",
            "2009-11-13T12:42:00Z ton: caf\u{fffd}",
            "2009-11-13T12:43:00Z ton: ",
            "2009-11-13T12:44:00Z mali: สวัสดี",
            "2009-11-13T12:44:00Z mali: lol",
            "2009-11-13T12:44:00Z mali: lol",
            "2009-11-13T12:45:30Z ton: with seconds",
        ]
    );
    assert_eq!(parsed.lossy_lines, 1);
    assert_eq!(
        skips(&parsed),
        [
            (1, SkipReason::JoinOrPart),
            (7, SkipReason::Action),
            (8, SkipReason::Notice),
            (13, SkipReason::BadTimestamp),
            (14, SkipReason::Unrecognized),
            (15, SkipReason::SystemLine),
            (16, SkipReason::JoinOrPart),
            (18, SkipReason::Unrecognized),
        ]
    );
    assert_eq!(keys(&parsed).len(), parsed.messages.len());
    assert!(parsed.messages.iter().all(|m| m.network == Network::Irc));
}

#[test]
fn day_files_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "2005-01-02.txt",
        "2004-12-25.txt",
        "README.md",
        "2005-13-01.txt",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("2006-01-01.txt")).unwrap();
    let names: Vec<String> = irc_day_files(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["2004-12-25.txt", "2005-01-02.txt"]);

    let one = folder.path().join("README.md");
    assert_eq!(irc_day_files(&one).unwrap(), [one], "a file names itself");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        irc_day_files(empty.path()),
        Err(ImportError::NoDayFiles { .. })
    ));
    assert!(matches!(
        irc_day_files(&folder.path().join("gone")),
        Err(ImportError::Unreadable { .. })
    ));
    assert!(matches!(
        read_export(folder.path()),
        Err(ImportError::Unreadable { .. })
    ));
}

/// The real channel log that the project's data folder holds. It is not part
/// of the repository, so a checkout elsewhere says so and goes on.
#[test]
fn ninety_five_days_of_a_real_channel() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/irc");
    if !folder.is_dir() {
        eprintln!("no {}: not tested on real data", folder.display());
        return;
    }
    let files = irc_day_files(&folder).unwrap();
    let mut messages = 0;
    let mut skipped = 0;
    let mut keys = BTreeSet::new();
    for path in &files {
        let bytes = read_export(path).unwrap();
        let parsed = parse_irc(path.to_str().unwrap(), &bytes).unwrap();
        messages += parsed.messages.len();
        skipped += parsed.skipped.len();
        keys.extend(parsed.messages.iter().map(|m| m.import_key));
    }
    assert_eq!(files.len(), 95);
    assert_eq!(messages, 122_980);
    assert_eq!(skipped, 21_310);
    assert_eq!(keys.len(), messages);
}
