//! What follows on what in lines of text: every run of up to some bytes, and how often it is seen.

#![expect(
    clippy::indexing_slicing,
    reason = "places of lines, and a list for each byte"
)]

use khlong_document::text;

/// Bytes of the longest run: a context and what follows. Eight fit a key.
pub(crate) const RUN_BYTES_MAX: usize = 6;
const _: () = assert!(RUN_BYTES_MAX < 8);

/// Runs of one length, ascending, so that those with one context lie together.
pub(crate) type Runs = Vec<Run>;

/// Bytes that were seen: a context, and what follows it.
#[derive(Clone)]
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

/// Lines as they are counted, each with its weight.
type Coded = [(Vec<u8>, u64)];

/// Lines with a weight.
pub(crate) struct Source<'a> {
    pub(crate) lines: Vec<&'a str>,
    pub(crate) weight: u64,
}

/// Runs of each length, from 1.
pub(crate) fn runs(sources: &[Source<'_>]) -> Vec<Runs> {
    let coded: Vec<(Vec<u8>, u64)> = sources.iter().flat_map(coded).collect();
    // A place is a line, and a byte of it that follows on something: the first follows on nothing.
    let mut places: Vec<(u32, u32)> = Vec::new();
    for (line, (bytes, _)) in (0..).zip(&coded) {
        places.extend((1..).zip(bytes.iter().skip(1)).map(|(at, _)| (line, at)));
    }
    let mut all: Vec<Runs> = Vec::new();
    for length in 1..=RUN_BYTES_MAX {
        // They lie in the order of the runs that end there; those that are one longer begin with
        // the byte before.
        places = by_byte_before(&places, length - 1, &coded);
        let mut runs = counted(&places, length, &coded);
        if let Some(shorter) = all.last() {
            for run in &mut runs {
                let end = run.key & key_max(length - 1);
                let place = shorter.binary_search_by_key(&end, |run| run.key);
                run.shorter = place.expect("what ends a run was seen");
            }
        }
        all.push(runs);
    }
    all
}

/// Places by the byte that lies so many before; those of one byte keep their order.
fn by_byte_before(places: &[(u32, u32)], before: usize, coded: &Coded) -> Vec<(u32, u32)> {
    let mut by_byte = vec![Vec::new(); 1 << u8::BITS];
    for (line, at) in places.iter().copied() {
        let Some(first) = (at as usize).checked_sub(before) else {
            continue; // the line has no longer run here
        };
        by_byte[usize::from(coded[line as usize].0[first])].push((line, at));
    }
    by_byte.concat()
}

/// As a text lies behind another one: between two ends.
fn coded(source: &Source<'_>) -> Vec<(Vec<u8>, u64)> {
    let lines = source.lines.iter();
    let coded = lines.map(|line| [vec![text::END], text::encode(line), vec![text::END]].concat());
    coded.map(|bytes| (bytes, source.weight)).collect()
}

/// The greatest key of a run of so many bytes.
const fn key_max(length: usize) -> u64 {
    (1 << (8 * length)) - 1
}

fn counted(places: &[(u32, u32)], length: usize, coded: &Coded) -> Runs {
    let mut runs = Runs::new();
    let mut before = None;
    for (line, at) in places.iter().copied() {
        let (bytes, weight) = &coded[line as usize];
        let mut key = 0;
        for byte in &bytes[at as usize + 1 - length..=at as usize] {
            key = key << 8 | u64::from(*byte);
        }
        match runs.last_mut() {
            Some(run) if run.key == key => {
                run.count += weight;
                run.lines += u64::from(before != Some(line));
            }
            _ => runs.push(Run {
                key,
                count: *weight,
                lines: 1,
                shorter: 0,
            }),
        }
        before = Some(line);
    }
    runs
}
