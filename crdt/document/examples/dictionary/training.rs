//! From lines of text to a dictionary in zstd's format (RFC 8878 §5).
//!
//! The content is all lines, in the coding of `DOCUMENT.md` §11, in the shape in which texts
//! lie in a plaintext (§8). The entropy tables in front say how such text is coded that the
//! content does *not* hold: each tenth of the lines is parsed with the other nine.
//!
//! Why not zstd's own trainer: it counts how its samples are coded with a dictionary that holds
//! them. Of a text as short as ours that says that all of it is one long match and letters never
//! occur. And what it makes differs from version to version; this is arithmetic on integers.

use khlong_document::text;

use super::coding::{distribution, huffman};
use super::parsing::{Counts, parse};

const MAGIC: u32 = 0xec30_a437;
/// Every tenth line is parsed with all others.
const FOLDS: usize = 10;
/// Texts in one sample.
const GROUP: usize = 3;
/// Times that the parsing is done again, with what the one before says that codes cost.
const ROUNDS: usize = 4;
/// Ids of the frozen dictionaries, in the range that RFC 8878 leaves to private use.
pub(crate) const THAI_2026: u32 = 0x6b68_0001;
/// See [`THAI_2026`].
pub(crate) const ENGLISH_2026: u32 = 0x6b68_0002;
/// Accuracy of the tables (RFC 8878 §3.1.1.3.2.1): offsets, then lengths.
const OFFSET_LOG: u32 = 8;
const LENGTH_LOG: u32 = 9;
/// Those with which every frame begins.
const REPEATED_OFFSETS: [u32; 3] = [1, 4, 8];

/// The dictionary with this id of `lines`.
pub(crate) fn dictionary(id: u32, lines: &[&str]) -> Vec<u8> {
    let coded: Vec<Vec<u8>> = lines
        .iter()
        .map(|line| [text::encode(line), vec![text::END]].concat())
        .collect();
    let content = coded.concat();
    let mut counts = Counts::new(content.len());
    for _ in 0..ROUNDS {
        counts = counted(&coded, &counts);
    }
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.extend(id.to_le_bytes());
    out.extend(huffman(&counts.literals));
    out.extend(distribution(&counts.offsets, OFFSET_LOG));
    out.extend(distribution(&counts.match_lengths, LENGTH_LOG));
    out.extend(distribution(&counts.literal_lengths, LENGTH_LOG));
    out.extend(
        REPEATED_OFFSETS
            .iter()
            .flat_map(|offset| offset.to_le_bytes()),
    );
    out.extend(content);
    out
}

fn counted(coded: &[Vec<u8>], before: &Counts) -> Counts {
    let content: usize = coded.iter().map(Vec::len).sum();
    let mut counts = Counts::new(content);
    for fold in 0..FOLDS {
        let is_held_out = |place: usize| place % FOLDS == fold;
        let places = |held_out: bool| {
            let all = coded.iter().enumerate();
            all.filter(move |(place, _)| is_held_out(*place) == held_out)
                .map(|(_, line)| line.as_slice())
        };
        let history: Vec<u8> = places(false).collect::<Vec<_>>().concat();
        let held_out: Vec<&[u8]> = places(true).collect();
        for sample in held_out.chunks(GROUP) {
            parse(&history, &sample.concat(), before, &mut counts);
        }
    }
    counts
}
