//! Runs the property of a decoder on its corpus, and on inputs made from it.
//!
//! An ordinary test run replays the seeds of a target and `testdata/corpus/<target>`, then a
//! bounded number of mutations of them, the same in every run. `KHLONG_FUZZ_SECONDS` makes it
//! go on that long, `KHLONG_FUZZ_SEED` from another start. The mutations are blind: nothing
//! tells them which branches an input reached.
//!
//! Seeds are made by the code of today; the corpus is bytes that stay: some seeds of the day
//! when the target was added, and every input that failed since. A target without one fails;
//! `KHLONG_FUZZ_KEEP=1` writes the first one.
//!
//! A property returns whether its decoder took the input. Of spoilt bytes nobody knows that; a
//! genuine seed has to be taken, and every target has one. Without this a decoder that refuses
//! everything would pass, and the mutations would be of bytes that never got anywhere.
//!
//! The tests of every crate take this file by its path, and those of servers `request.rs`. What a
//! target needs once for all its inputs (a folder, a server) is what its property captures.
//!
//! | bytes of | decoders | targets |
//! |---|---|---|
//! | peers | envelopes, auth-ops, receipts, proofs, cursors, addresses and links | `crdt`: `fuzz_envelope`, `_auth_body`, `_admission`, `_receipt`, `_proof`, `_cursor`, `_text`, `_address` |
//! | peers | key-ops, manifests, wraps, sealed content, chunks, all that a member may seal | `crdt/document`: `fuzz_key_op`, `_manifest`, `_wrap_leaf`, `_sealed_ops`, `_parents`, `_content`, `_notice`, `_chunk`, `_member`, … |
//! | peers | frames, lanes, streams, whole sessions | `sync`: `fuzz_frame`, `_lanes`, `_stream`, `_server`, `_client`; `relay`: `fuzz_append`, `_hub_frames` |
//! | the disk | records, write sets, rows of every table, the side file | `store`: `fuzz_record`, `_write_set`, `_row`, `_side_file`; `node`: `fuzz_node_row` (cursors of what a relay is offered again among them); `gateway`: `fuzz_gateway_row` (the ledger's, and the books' five tables) |
//! | the disk | secrets, key files, snapshots, search files | `crdt/document`: `fuzz_secrets`, `_user`, `_invite`, `_secret_file`, `_snapshot`; `node`: `fuzz_search_file`; `relay`: `fuzz_identity` |
//! | the disk, or a database | journal, commands, outcomes, notices | `gateway`: `fuzz_command`, `_housekeeping`, `_failures`, `_notice`, `_outcome`, `_kernel`, `_journal` |
//! | the disk, or a database | commands and answers of the books | `gateway`: `fuzz_books_command`, `_close_answer`, `_export_answer`, `_record_answer`, `_fates_answer` |
//! | files, the environment | backups and their lists, configurations, what a value of one holds | `node`: `fuzz_backup`; `relay`: `fuzz_manifest`, `_config`; `gateway`: `fuzz_config`, `_postgres_options`, `_webhook_secret` |
//! | people and banks | chat exports, queries, Thai QR, slips, amounts, bank files, pain.002, lists of payouts, `ENTRY:HASH`, cursors of lists | `node`: `fuzz_line`, `_irc`, `_telegram`, `_query`; `gateway`: `fuzz_payload`, `_slip`, `_l10n`, `_bank_file`, `_pain002`, `_payout_list`, `_published`, `_books_cursor` |
//! | programs of this machine, HTTP | the daemon's socket, requests of HTTP, answers | `node`: `fuzz_line_of_socket`, `_answer_of_socket`, `_daemon`; `relay`: `fuzz_http`, `_answer_of_relay`; `gateway`: `fuzz_http_body`, `_http_request` |
//!
//! Without one: rows as PostgreSQL's driver gives them (`gateway/src/app/postgres/rows.rs`), which only a
//! server can make, and certificates, which rustls reads; of these we compare one prefix.
//!
//! Why not bolero, which has engines that are not blind: of 0.13.5 to 0.13.7
//! (`bolero-generator-derive` 0.13.5) wants indexmap at exactly 2.11.2 where `toml` wants at least
//! 2.13, and 0.13.4 takes another `toml`, `toml_edit` and `winnow`, which the programs use, back by
//! several releases. So it was in November 2026, when 0.13.7 was the newest.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest input: beyond it every decoder refuses, or only repeats itself.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Seeds that a first corpus is made of.
const KEPT_MAX: usize = 12;

/// Bytes of all of them.
const KEPT_BYTES_MAX: usize = 3 * 1024;

/// A `#[test]` that holds `property` against many inputs, `iterations` of them made up. Seeds
/// and property come as two expressions, or as a pair where they stand on the same files. Seeds
/// that are a `Vec` are genuine, all of them.
macro_rules! fuzz {
    ($name:ident, $iterations:expr, $seeds:expr, $property:expr) => {
        fuzz!($name, $iterations, ($seeds, $property));
    };
    ($name:ident, $iterations:expr, $seeds_and_property:expr) => {
        #[test]
        fn $name() {
            let target = crate::fuzzing::Target {
                name: stringify!($name),
                corpus: concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus"),
                findings: env!("CARGO_TARGET_TMPDIR"),
                iterations: $iterations,
            };
            let (seeds, property) = $seeds_and_property;
            target.run(seeds.into(), &property);
        }
    };
}
pub(crate) use fuzz;

/// What a target begins with.
pub(crate) struct Seeds {
    /// As somebody writes them who keeps the rules: each has to be taken.
    genuine: Vec<Vec<u8>>,
    /// Also worth trying, taken or not.
    others: Vec<Vec<u8>>,
}

impl From<Vec<Vec<u8>>> for Seeds {
    fn from(genuine: Vec<Vec<u8>>) -> Self {
        Self {
            genuine,
            others: Vec::new(),
        }
    }
}

impl Seeds {
    /// The genuine ones, and others.
    pub(crate) fn and(genuine: Vec<Vec<u8>>, others: Vec<Vec<u8>>) -> Self {
        Self { genuine, others }
    }

    /// With more of the genuine ones.
    pub(crate) fn and_genuine(mut self, more: Vec<Vec<u8>>) -> Self {
        self.genuine.extend(more);
        self
    }

    /// With more of the others.
    pub(crate) fn and_others(mut self, more: Vec<Vec<u8>>) -> Self {
        self.others.extend(more);
        self
    }
}

/// Whether `decoded` is something; if so, it has to come back as the same bytes.
pub(crate) fn one_form<T>(
    bytes: &[u8],
    decoded: Option<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> bool {
    let written = decoded.as_ref().map(encode);
    assert!(written.as_deref().is_none_or(|it| it == bytes), "one form");
    decoded.is_some()
}

/// One decoder and what is known to be worth trying on it.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) corpus: &'static str,
    pub(crate) findings: &'static str,
    pub(crate) iterations: u64,
}

impl Target {
    pub(crate) fn run(&self, seeds: Seeds, property: &dyn Fn(&[u8]) -> bool) {
        let Seeds { genuine, others } = seeds;
        assert!(
            !genuine.is_empty(),
            "{} has no genuine seed: it would pass if everything was refused",
            self.name
        );
        let mut known = genuine.clone();
        known.extend(others);
        let mut stored = self.stored();
        if stored.is_empty() && std::env::var_os("KHLONG_FUZZ_KEEP").is_some_and(|it| it == "1") {
            self.keep(&known);
            stored = self.stored();
        }
        assert!(
            !stored.is_empty(),
            "{} has no corpus: run it once with KHLONG_FUZZ_KEEP=1, and commit {}/{}",
            self.name,
            self.corpus,
            self.name
        );
        let mut refused = 0_usize;
        for input in &genuine {
            if !self.check(input, property) {
                refused += 1;
                eprintln!("refused: {}", self.found(input).display());
            }
        }
        assert!(
            refused == 0,
            "{}: {refused} of {} genuine seeds are refused",
            self.name,
            genuine.len()
        );
        known.extend(stored);
        for input in &known[genuine.len()..] {
            self.check(input, property);
        }
        self.mutate(&known, property);
    }

    /// Seeds of every length, as far as they fit.
    fn keep(&self, seeds: &[Vec<u8>]) {
        let mut sorted: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
        sorted.sort_by_key(|seed| (seed.len(), *seed));
        sorted.dedup();
        sorted.retain(|seed| !seed.is_empty());
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut bytes = 0;
        let step = sorted.len().div_ceil(KEPT_MAX).max(1);
        for seed in sorted.iter().copied().step_by(step) {
            if bytes + seed.len() <= KEPT_BYTES_MAX {
                bytes += seed.len();
                kept.push(seed);
            }
        }
        if kept.is_empty() {
            // How it begins is what a decoder reads first.
            let shortest = sorted.first().unwrap();
            kept.push(&shortest[..shortest.len().min(KEPT_BYTES_MAX)]);
        }
        let folder = Path::new(self.corpus).join(self.name);
        fs::create_dir_all(&folder).unwrap();
        for seed in kept {
            fs::write(folder.join(blake3_name(seed)), seed).unwrap();
        }
    }

    /// The corpus, in the order of its names.
    fn stored(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(Path::new(self.corpus).join(self.name)) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "where it is: a run of seconds ends by the clock; what it tries does not depend on it"
    )]
    fn mutate(&self, known: &[Vec<u8>], property: &dyn Fn(&[u8]) -> bool) {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let mut random = Random(number("KHLONG_FUZZ_SEED").unwrap_or(1));
        let Some(seconds) = number("KHLONG_FUZZ_SECONDS") else {
            for _ in 0..self.iterations {
                self.check(&random.input(known), property);
            }
            return;
        };
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut executions = 0_u64;
        while Instant::now() < end {
            for _ in 0..64 {
                self.check(&random.input(known), property);
            }
            executions += 64;
        }
        println!("{}: {executions} executions", self.name);
    }

    /// Whether it is taken; of most inputs nobody knows beforehand.
    fn check(&self, input: &[u8], property: &dyn Fn(&[u8]) -> bool) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| property(input)));
        outcome.unwrap_or_else(|panic| {
            eprintln!(
                "the input is {}; once the cause is mended, keep it in {}/{}",
                self.found(input).display(),
                self.corpus,
                self.name
            );
            resume_unwind(panic);
        })
    }

    /// Where an input is put to be looked at.
    fn found(&self, input: &[u8]) -> PathBuf {
        let name = format!("{}-{}", self.name, blake3_name(input));
        let path = Path::new(self.findings).join(name);
        fs::write(&path, input).unwrap();
        path
    }
}

fn blake3_name(input: &[u8]) -> String {
    blake3::hash(input).to_hex().as_str()[..16].to_owned()
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// A known input with one to four things wrong; now and then only noise.
    fn input(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        let mut input = known[self.below(known.len())].clone();
        if self.below(32) == 0 {
            input = (0..self.below(300)).map(|_| self.byte()).collect();
        }
        for _ in 0..=self.below(4) {
            self.spoil(&mut input, known);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).unwrap()
    }

    fn spoil(&mut self, input: &mut Vec<u8>, known: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        // Most fields are short: a range of any length would mostly destroy everything.
        let end = input.len().min(at + self.below(40));
        match self.below(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let piece: Vec<u8> = (0..self.below(9)).map(|_| self.byte()).collect();
                input.splice(at..at, piece);
            }
            4 => {
                let other = &known[self.below(known.len())];
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            5 => {
                const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 1 << 32, u64::MAX];
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = 1 << self.below(4);
                for (byte, value) in input.iter_mut().skip(at).zip(&edge[8 - width..]) {
                    *byte = *value;
                }
            }
            6 => {
                let byte = self.byte();
                input
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|old| *old = byte);
            }
            _ => {
                let bit = 1 << self.below(8);
                input
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|old| *old ^= bit);
            }
        }
    }
}

/// Every string of hexadecimal digits in a file of frozen vectors, as bytes.
pub(crate) fn hex_strings(json: &str) -> Vec<Vec<u8>> {
    let is_hex = |text: &&str| {
        text.len() >= 2
            && text.len().is_multiple_of(2)
            && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    json.split('"')
        .filter(is_hex)
        .map(|text| text.as_bytes().chunks(2).map(pair).collect())
        .collect()
}

/// Every string of a file of frozen vectors, as text.
pub(crate) fn strings(json: &str) -> Vec<Vec<u8>> {
    let texts = json.split('"').skip(1).step_by(2);
    texts.map(|text| text.as_bytes().to_vec()).collect()
}
