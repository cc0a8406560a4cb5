//! Who has received and read what: heights of author chains per principal.
//! Heights only rise, so receipts may come in any order.

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, PrincipalKey};
use khlong_crdt::reader::{Reader, Truncated};

use super::chain::{Chain, RunsFull};
use super::limits::{RECEIPT_HEIGHTS_MAX, TIMELINE_RUNS_MAX, UNKNOWN_HEIGHTS_MAX};
use super::plaintext::ReceiptPlaintext;
use super::snapshot::put_count;

/// Heights that one principal has reported.
#[derive(Debug, Default)]
struct Reported {
    delivered: BTreeMap<AuthorKey, u64>,
    read: BTreeMap<AuthorKey, u64>,
}

/// Whose chain a height is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Mine,
    Others,
    /// No certificate has come.
    Unknown,
}

/// A principal reported more chains that nobody knows than are kept.
#[derive(Debug)]
pub(crate) struct HeightsFull;

#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Of certified authors only.
    chains: BTreeMap<AuthorKey, Chain>,
    /// Runs of all chains.
    runs: usize,
    reported: BTreeMap<PrincipalKey, Reported>,
    /// Shown to the person at this device, not yet told.
    read: BTreeMap<AuthorKey, u64>,
    /// Something found no room; reading the timeline again may find some.
    is_short: bool,
}

impl Receipts {
    /// Nothing received and nothing reported; what was shown stays shown.
    pub(crate) fn begin_anew(&mut self) {
        let read = std::mem::take(&mut self.read);
        *self = Self {
            read,
            ..Self::default()
        };
    }

    /// Whether all that was received and reported is remembered.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.is_short
    }

    /// For a snapshot: what was received and reported. What was shown is told by receipts of
    /// one's own, as after any start.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_count(out, self.chains.len());
        for (author, chain) in &self.chains {
            out.extend_from_slice(author.as_bytes());
            chain.encode(out);
        }
        put_count(out, self.reported.len());
        for (principal, reported) in &self.reported {
            out.extend_from_slice(principal.as_bytes());
            for heights in [&reported.delivered, &reported.read] {
                put_heights(out, heights);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let mut receipts = Self::default();
        for _ in 0..reader.u32()? {
            let author = AuthorKey::from_bytes(reader.array()?);
            let chain = Chain::decode(reader)?;
            receipts.runs += chain.runs();
            receipts.chains.insert(author, chain);
        }
        for _ in 0..reader.u32()? {
            let principal = PrincipalKey::from_bytes(reader.array()?);
            let reported = Reported {
                delivered: heights(reader)?,
                read: heights(reader)?,
            };
            receipts.reported.insert(principal, reported);
        }
        Ok(receipts)
    }

    /// Notes that a place of a certified author's chain was received and opened.
    pub(crate) fn received(
        &mut self,
        author: AuthorKey,
        seq: u64,
        is_content: bool,
    ) -> Result<(), RunsFull> {
        let chain = self.chains.entry(author).or_default();
        let others = self.runs - chain.runs();
        let outcome = chain.received(seq, is_content, self.runs < TIMELINE_RUNS_MAX);
        self.runs = others + chain.runs();
        self.is_short |= outcome.is_err();
        outcome
    }

    /// Notes that everything that shows was shown. `first_unshown` is the first place of a
    /// chain that was received and shows nothing.
    pub(crate) fn read_all(&mut self, first_unshown: impl Fn(&AuthorKey) -> Option<u64>) {
        for (author, chain) in &self.chains {
            let height = shown_height(chain, first_unshown(author));
            raise(&mut self.read, *author, height);
        }
    }

    /// Takes a principal's receipt. Of others only heights of my chains say something,
    /// and of chains that may turn out to be mine.
    pub(crate) fn report(
        &mut self,
        principal: PrincipalKey,
        is_me: bool,
        receipt: &ReceiptPlaintext,
        whose: impl Fn(&AuthorKey) -> Whose,
    ) -> Result<(), HeightsFull> {
        let reported = self.reported.entry(principal).or_default();
        let mut outcome = Ok(());
        let unknown_max = if is_me {
            RECEIPT_HEIGHTS_MAX
        } else {
            UNKNOWN_HEIGHTS_MAX
        };
        for (heights, known) in [
            (&receipt.delivered, &mut reported.delivered),
            (&receipt.read, &mut reported.read),
        ] {
            known.retain(|author, _| is_me || whose(author) != Whose::Others);
            let unknown = known
                .keys()
                .filter(|author| whose(author) == Whose::Unknown);
            let mut room = unknown_max.saturating_sub(unknown.count());
            for (author, seq) in heights {
                match whose(author) {
                    Whose::Others if !is_me => continue,
                    Whose::Unknown if !known.contains_key(author) => {
                        if room == 0 {
                            outcome = Err(HeightsFull);
                            continue;
                        }
                        room -= 1;
                    }
                    Whose::Mine | Whose::Others | Whose::Unknown => {}
                }
                raise(known, *author, *seq);
            }
        }
        self.is_short |= outcome.is_err();
        outcome
    }

    /// Whether others wrote or I read something that my last receipt does not
    /// tell. Receipts themselves count for nothing, so receipts never answer
    /// receipts.
    pub(crate) fn is_owed(
        &self,
        mine: &PrincipalKey,
        is_mine: impl Fn(&AuthorKey) -> bool,
        first_unshown: impl Fn(&AuthorKey) -> Option<u64>,
    ) -> bool {
        let told = self.reported.get(mine);
        let height = |heights: Option<&BTreeMap<AuthorKey, u64>>, author| {
            heights
                .and_then(|heights| heights.get(author))
                .copied()
                .unwrap_or(0)
        };
        self.chains
            .iter()
            .filter(|(author, _)| !is_mine(author))
            .any(|(author, chain)| {
                let content = shown_height(chain, first_unshown(author)).min(chain.content());
                let shown = self.read.get(author).copied().unwrap_or(0).min(content);
                content > height(told.map(|told| &told.delivered), author)
                    || shown > height(told.map(|told| &told.read), author)
            })
    }

    /// What I can tell now; the highest first if there were too many.
    pub(crate) fn compose(
        &self,
        mine: &PrincipalKey,
        is_mine: impl Fn(&AuthorKey) -> bool,
        first_unshown: impl Fn(&AuthorKey) -> Option<u64>,
    ) -> ReceiptPlaintext {
        let told = self.reported.get(mine);
        let mut receipt = ReceiptPlaintext::default();
        for (author, chain) in self.chains.iter().filter(|(author, _)| !is_mine(author)) {
            let delivered = told
                .and_then(|told| told.delivered.get(author))
                .copied()
                .unwrap_or(0);
            let height = shown_height(chain, first_unshown(author));
            if height > delivered && chain.content() > 0 {
                receipt.delivered.push((*author, height));
            }
            let read = self.read.get(author).copied().unwrap_or(0).min(height);
            if read
                > told
                    .and_then(|told| told.read.get(author))
                    .copied()
                    .unwrap_or(0)
            {
                receipt.read.push((*author, read));
            }
        }
        receipt.delivered.truncate(RECEIPT_HEIGHTS_MAX);
        receipt.read.truncate(RECEIPT_HEIGHTS_MAX);
        receipt
    }

    /// Principals but `mine` that have a place of a chain: (delivered, read).
    pub(crate) fn who_has(
        &self,
        author: &AuthorKey,
        seq: u64,
        mine: &PrincipalKey,
    ) -> (Vec<PrincipalKey>, Vec<PrincipalKey>) {
        let has = |heights: &BTreeMap<AuthorKey, u64>| {
            heights.get(author).is_some_and(|height| *height >= seq)
        };
        let others = || {
            self.reported
                .iter()
                .filter(|(principal, _)| *principal != mine)
        };
        let read: Vec<_> = others()
            .filter(|(_, reported)| has(&reported.read))
            .map(|(principal, _)| *principal)
            .collect();
        let delivered = others()
            .filter(|(_, reported)| has(&reported.delivered) || has(&reported.read))
            .map(|(principal, _)| *principal)
            .collect();
        (delivered, read)
    }

    /// Height to which one principal has (delivered, read) a chain.
    pub(crate) fn heights_of(&self, principal: &PrincipalKey, author: &AuthorKey) -> (u64, u64) {
        let reported = self.reported.get(principal);
        let height = |heights: Option<&BTreeMap<AuthorKey, u64>>| {
            heights
                .and_then(|heights| heights.get(author))
                .copied()
                .unwrap_or(0)
        };
        (
            height(reported.map(|reported| &reported.delivered)),
            height(reported.map(|reported| &reported.read)),
        )
    }
}

/// How far all of a chain was received and shows what it holds.
fn shown_height(chain: &Chain, first_unshown: Option<u64>) -> u64 {
    let below = first_unshown.map_or(u64::MAX, |seq| seq.saturating_sub(1));
    chain.height().min(below)
}

/// `count 4 ‖ (author 32 ‖ height 8)*`.
pub(crate) fn put_heights(out: &mut Vec<u8>, heights: &BTreeMap<AuthorKey, u64>) {
    put_count(out, heights.len());
    for (author, height) in heights {
        out.extend_from_slice(author.as_bytes());
        out.extend(height.to_be_bytes());
    }
}

/// Reads what [`put_heights`] wrote.
pub(crate) fn heights(reader: &mut Reader<'_>) -> Result<BTreeMap<AuthorKey, u64>, Truncated> {
    let mut heights = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let author = AuthorKey::from_bytes(reader.array()?);
        heights.insert(author, reader.u64()?);
    }
    Ok(heights)
}

fn raise(heights: &mut BTreeMap<AuthorKey, u64>, author: AuthorKey, seq: u64) {
    let height = heights.entry(author).or_default();
    *height = seq.max(*height);
}
