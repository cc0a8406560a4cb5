//! What follows on what in lines of text: every run of up to some bytes, and how often it is seen.

use khlong_document::text;

/// Bytes of the longest run: a context and what follows. Eight fit a key.
pub(crate) const RUN_BYTES_MAX: usize = 6;
const _: () = assert!(RUN_BYTES_MAX <= 8);

/// Runs of one length, ascending, so that those with one context lie together.
pub(crate) type Runs = Vec<Run>;

/// Bytes that were seen: a context, and what follows it.
#[derive(Clone, Default)]
pub(crate) struct Run {
    /// The bytes, big-endian.
    pub(crate) key: u64,
    /// How often, times the weight of the lines.
    pub(crate) count: u64,
    /// In how many lines.
    pub(crate) lines: u64,
    /// Where its end that is one shorter stands among the runs of that length.
    pub(crate) shorter: usize,
}

impl Run {
    pub(crate) const fn context(&self) -> u64 {
        self.key >> 8
    }
}

/// Lines with a weight.
pub(crate) struct Source<'a> {
    pub(crate) lines: Vec<&'a str>,
    pub(crate) weight: u64,
}

/// Runs of each length, from 1.
pub(crate) fn runs(sources: &[Source<'_>]) -> Vec<Runs> {
    let coded: Vec<(Vec<u8>, u64)> = sources.iter().flat_map(coded).collect();
    let mut all: Vec<Runs> = Vec::new();
    for length in 1..=RUN_BYTES_MAX {
        let mut seen = Vec::new();
        for (line, (bytes, weight)) in coded.iter().enumerate() {
            // The first byte is an end, on which something follows; it follows on nothing.
            let windows = bytes.windows(length).skip(usize::from(length == 1));
            seen.extend(windows.map(|bytes| (key(bytes), line, *weight)));
        }
        seen.sort_unstable();
        let mut runs: Runs = seen.chunk_by(|a, b| a.0 == b.0).map(run).collect();
        if let Some(shorter) = all.last() {
            for run in &mut runs {
                let end = run.key & ((1 << (8 * (length - 1))) - 1);
                let place = shorter.binary_search_by_key(&end, |run| run.key);
                run.shorter = place.expect("what ends a run was seen");
            }
        }
        all.push(runs);
    }
    all
}

/// As a text lies behind another one: between two ends.
fn coded(source: &Source<'_>) -> Vec<(Vec<u8>, u64)> {
    let lines = source.lines.iter();
    let coded = lines.map(|line| [vec![text::END], text::encode(line), vec![text::END]].concat());
    coded.map(|bytes| (bytes, source.weight)).collect()
}

fn key(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |key, byte| key << 8 | u64::from(*byte))
}

fn run(same: &[(u64, usize, u64)]) -> Run {
    Run {
        key: same.first().map_or(0, |seen| seen.0),
        count: same.iter().map(|seen| seen.2).sum(),
        lines: same.chunk_by(|a, b| a.1 == b.1).count() as u64,
        shorter: 0,
    }
}
