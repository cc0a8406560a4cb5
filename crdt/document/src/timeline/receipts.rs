//! Who has received and read what: heights of author chains per principal.
//! Heights only rise, so receipts may come in any order.

use std::collections::BTreeMap;

use khlong_crdt::id::{AuthorKey, PrincipalKey};

use super::limits::{CHAIN_GAP_MAX, RECEIPT_HEIGHTS_MAX};
use super::plaintext::ReceiptPlaintext;

/// How far one author's chain has been received here.
#[derive(Debug, Default)]
struct Chain {
    /// Everything up to here was received and opened.
    height: u64,
    /// The highest content (kind change) at or below `height`.
    content: u64,
    /// Received beyond a hole: place → is content.
    beyond: BTreeMap<u64, bool>,
}

/// Heights that one principal has reported.
#[derive(Debug, Default)]
struct Reported {
    delivered: BTreeMap<AuthorKey, u64>,
    read: BTreeMap<AuthorKey, u64>,
}

/// What a receipt newly says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) delivered: bool,
    pub(crate) read: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Receipts {
    chains: BTreeMap<AuthorKey, Chain>,
    reported: BTreeMap<PrincipalKey, Reported>,
    /// Shown to the person at this device, not yet told.
    read: BTreeMap<AuthorKey, u64>,
}

impl Receipts {
    /// Notes that a place of a chain was received and opened.
    pub(crate) fn received(&mut self, author: AuthorKey, seq: u64, is_content: bool) {
        let chain = self.chains.entry(author).or_default();
        if seq <= chain.height {
            return;
        }
        if chain.beyond.len() == CHAIN_GAP_MAX && seq != chain.height + 1 {
            // Far beyond a hole: the height would not rise anyway. A later
            // start reads the chain in order.
            return;
        }
        *chain.beyond.entry(seq).or_default() |= is_content;
        while let Some(content) = chain.beyond.remove(&(chain.height + 1)) {
            chain.height += 1;
            if content {
                chain.content = chain.height;
            }
        }
    }

    /// Notes that everything received so far was shown.
    pub(crate) fn read_all(&mut self) {
        for (author, chain) in &self.chains {
            raise(&mut self.read, *author, chain.height);
        }
    }

    /// Takes a principal's receipt.
    pub(crate) fn report(&mut self, principal: PrincipalKey, receipt: &ReceiptPlaintext) -> Raised {
        let reported = self.reported.entry(principal).or_default();
        let mut raised = Raised::default();
        for (heights, known, changed) in [
            (
                &receipt.delivered,
                &mut reported.delivered,
                &mut raised.delivered,
            ),
            (&receipt.read, &mut reported.read, &mut raised.read),
        ] {
            for (author, seq) in heights {
                // Heights for chains that nobody here knows cost memory and say nothing.
                if self.chains.contains_key(author) || known.len() < RECEIPT_HEIGHTS_MAX {
                    *changed |= raise(known, *author, *seq);
                }
            }
        }
        raised
    }

    /// Whether others wrote or I read something that my last receipt does not
    /// tell. Receipts themselves count for nothing, so receipts never answer
    /// receipts.
    pub(crate) fn is_owed(
        &self,
        mine: &PrincipalKey,
        is_mine: impl Fn(&AuthorKey) -> bool,
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
                let shown = self
                    .read
                    .get(author)
                    .copied()
                    .unwrap_or(0)
                    .min(chain.content);
                chain.content > height(told.map(|told| &told.delivered), author)
                    || shown > height(told.map(|told| &told.read), author)
            })
    }

    /// What I can tell now; the highest first if there were too many.
    pub(crate) fn compose(
        &self,
        mine: &PrincipalKey,
        is_mine: impl Fn(&AuthorKey) -> bool,
    ) -> ReceiptPlaintext {
        let told = self.reported.get(mine);
        let mut receipt = ReceiptPlaintext::default();
        for (author, chain) in self.chains.iter().filter(|(author, _)| !is_mine(author)) {
            let delivered = told
                .and_then(|told| told.delivered.get(author))
                .copied()
                .unwrap_or(0);
            if chain.height > delivered && chain.content > 0 {
                receipt.delivered.push((*author, chain.height));
            }
            let read = self.read.get(author).copied().unwrap_or(0);
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

fn raise(heights: &mut BTreeMap<AuthorKey, u64>, author: AuthorKey, seq: u64) -> bool {
    let height = heights.entry(author).or_default();
    let raised = seq > *height;
    *height = seq.max(*height);
    raised
}
