//! The secret file: passphrases, hostile parameters, permissions, crashes.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use khlong_document::secret_store::sealed_file::{PassphraseCost, SealedFileError};
use khlong_document::secret_store::{FileStore, SecretStore, SecretStoreError};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

/// The least that Argon2 allows: the tests are about everything else.
const CHEAP: PassphraseCost = PassphraseCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};
const SECRET: &[u8] = b"the one secret that opens all the others";

struct Folder(TempDir, ChaCha20Rng);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(1))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("secret")
    }

    fn sealed(&self, passphrase: &str) -> FileStore {
        FileStore::sealed(self.path(), passphrase.as_bytes(), CHEAP)
    }

    fn plain(&self) -> FileStore {
        FileStore::plain(self.path())
    }

    fn save(&mut self, store: &FileStore) {
        store.save(SECRET, &mut self.1).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path()).unwrap();
        change(&mut bytes);
        fs::write(self.path(), bytes).unwrap();
    }
}

fn content_error(store: &FileStore) -> SealedFileError {
    match store.load() {
        Err(SecretStoreError::Content { source, .. }) => source,
        other => panic!("expected a refusal of the content, found {other:?}"),
    }
}

#[test]
fn a_sealed_secret_comes_back_by_its_passphrase_only() {
    let mut folder = Folder::new();
    let store = folder.sealed("กุญแจ");
    assert!(store.load().unwrap().is_none());
    folder.save(&store);
    assert_eq!(store.load().unwrap().unwrap().as_slice(), SECRET);
    let bytes = fs::read(folder.path()).unwrap();
    assert!(
        !bytes
            .windows(8)
            .any(|window| SECRET.windows(8).any(|part| part == window))
    );
    assert_eq!(
        content_error(&folder.sealed("another")),
        SealedFileError::Passphrase
    );
    assert_eq!(
        content_error(&folder.plain()),
        SealedFileError::PassphraseNeeded
    );
    // The same secret and passphrase give other bytes: fresh salt, fresh nonce.
    folder.save(&store);
    assert_ne!(fs::read(folder.path()).unwrap(), bytes);
}

#[test]
fn every_flipped_byte_is_found() {
    let mut folder = Folder::new();
    let store = folder.sealed("x");
    folder.save(&store);
    let good = fs::read(folder.path()).unwrap();
    for at in 0..good.len() {
        // The high bytes of the parameters would only ask for more work.
        folder.change(|bytes| *bytes.get_mut(at).unwrap() ^= 0x01);
        assert!(store.load().is_err(), "byte {at}");
        fs::write(folder.path(), good.get(..at).unwrap()).unwrap();
        assert!(store.load().is_err(), "cut at {at}");
        fs::write(folder.path(), &good).unwrap();
    }
    assert!(store.load().is_ok());
}

#[test]
fn a_hostile_file_cannot_ask_for_the_machine() {
    let mut folder = Folder::new();
    let store = folder.sealed("x");
    folder.save(&store);
    let good = fs::read(folder.path()).unwrap();
    let costs: [(u32, u32, u8); 7] = [
        (64 * 1024 * 1024, 1, 1), // 64 GiB
        (u32::MAX, 1, 1),
        (8, u32::MAX, 1),
        (8, 0, 1),
        (1024 * 1024, 16, 1), // each within bounds, not the product
        (8, 1, 255),
        (8, 1, 0),
    ];
    for (memory, passes, lanes) in costs {
        folder.change(|bytes| {
            let cost = [&memory.to_be_bytes()[..], &passes.to_be_bytes(), &[lanes]].concat();
            bytes.get_mut(18..27).unwrap().copy_from_slice(&cost);
        });
        assert_eq!(
            content_error(&store),
            SealedFileError::Cost,
            "{memory} {passes} {lanes}"
        );
        fs::write(folder.path(), &good).unwrap();
    }
    fs::write(folder.path(), vec![0; 10_000_000]).unwrap();
    assert_eq!(content_error(&store), SealedFileError::TooLong);
    let hungry = PassphraseCost {
        memory_kib: 64 * 1024 * 1024,
        passes: 1,
        lanes: 1,
    };
    let store = FileStore::sealed(folder.path(), b"x", hungry);
    assert!(store.save(SECRET, &mut folder.1).is_err());
}

#[test]
fn the_file_commits_to_its_key() {
    let mut folder = Folder::new();
    let store = folder.sealed("x");
    folder.save(&store);
    // Another commitment before the same ciphertext: refused as a wrong passphrase,
    // before the cipher is asked.
    folder.change(|bytes| bytes.get_mut(43..75).unwrap().fill(0));
    assert_eq!(content_error(&store), SealedFileError::Passphrase);
    folder.save(&store);
    folder.change(|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(content_error(&store), SealedFileError::Damaged);
}

#[test]
fn plain_is_a_choice_and_no_fallback() {
    let mut folder = Folder::new();
    let store = folder.plain();
    folder.save(&store);
    assert_eq!(store.load().unwrap().unwrap().as_slice(), SECRET);
    // Someone replaced a sealed file by a plain one of their own.
    assert_eq!(
        content_error(&folder.sealed("x")),
        SealedFileError::NotSealed
    );
    folder.change(|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(content_error(&store), SealedFileError::Damaged);
    folder.change(|bytes| *bytes.get_mut(16).unwrap() = 9);
    assert_eq!(content_error(&store), SealedFileError::Version(9));
    let long = store.save(&[0; 65_537], &mut folder.1);
    assert!(matches!(
        long,
        Err(SecretStoreError::Content {
            source: SealedFileError::TooLong,
            ..
        })
    ));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let mut folder = Folder::new();
    for store in [folder.plain(), folder.sealed("x")] {
        folder.save(&store);
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        for open in [0o640, 0o604, 0o660, 0o610, 0o777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(open)).unwrap();
            match store.load() {
                Err(SecretStoreError::Permissions { mode, .. }) => assert_eq!(mode, open),
                other => panic!("mode {open:03o} was accepted: {other:?}"),
            }
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o400)).unwrap();
        assert!(store.load().is_ok());
    }
}

/// Nobody writes to the pipe: whoever opened it would wait for good.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_the_file_holds_nothing_up() {
    let folder = Folder::new();
    let pipe = Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(pipe.success());
    for store in [folder.plain(), folder.sealed("x")] {
        let error = store.load().unwrap_err();
        assert!(
            matches!(error, SecretStoreError::NotAFile { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_save_replaces_whole_or_not_at_all() {
    let mut folder = Folder::new();
    let store = folder.plain();
    folder.save(&store);
    // Left by a crash in the middle of a save: readable by all, half written.
    let beside = folder.path().with_file_name("secret.new");
    fs::write(&beside, b"half").unwrap();
    store.save(b"newer", &mut folder.1).unwrap();
    assert_eq!(store.load().unwrap().unwrap().as_slice(), b"newer");
    assert!(!beside.exists());
    // A save that cannot be written leaves the old secret.
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("x"), b"").unwrap();
    assert!(store.save(b"newest", &mut folder.1).is_err());
    assert_eq!(store.load().unwrap().unwrap().as_slice(), b"newer");
    let folder_itself = FileStore::plain(folder.0.path());
    assert!(folder_itself.load().is_err());
    assert!(!format!("{:?}", folder.sealed("hunter2")).contains("hunter2"));
}
