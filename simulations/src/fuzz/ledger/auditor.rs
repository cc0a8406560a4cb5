//! What must hold of a ledger, looked up in the journal, in the tables and in what clients
//! were told; never in a kernel's own opinion of itself.
//!
//! | name | rule | when |
//! |---|---|---|
//! | `journal` | it only grows, each hash follows from those before, the time never falls | at each commit and start |
//! | `commands` | each entry is what its client asked for, and none is there twice | at each entry |
//! | `outcomes` | the model comes to the same outcome, in the order of the journal | at each entry |
//! | `balances` | accounts stand as in the model; debits equal credits; rules of accounts hold | at each commit and start |
//! | `answers` | what is answered stands in the journal, with these bytes | as an answer leaves, the end |
//! | `reads` | a balance is one that the account had between question and answer, and not before an answer that its reader may know of | at each read |
//! | `holds` | no hold whose time is over holds anything | at each commit, the end |
//!
//! The checks take rows and answers, so that a test can hand them a violation
//! (`simulations/tests/ledger` does).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{
    self, AccountFlags, AccountState, Failures, LEDGER_DOMAIN, LedgerCommand, TransferResult,
};
use khlong_gateway::kernel::{Command, Decided, KERNEL_CALLER, Outcome, Rejection};
use khlong_store::error::StoreError;
use khlong_store::journal::{self, Chain, Head, JournalError, JournalId, JournalSeq, Stored};
use khlong_store::rows::Rows;

use super::gateway::DRIVER_CALLER;
use super::model::Naive;
use super::words::{Name, broken_rule, name_of, other_time, read_header, sums, tell};
use crate::fuzz::checkers::Findings;

/// What a client asked for under a name.
struct Asked {
    body: Vec<u8>,
    /// What it means; `None`: nothing.
    meaning: Option<LedgerCommand>,
}

/// An account as it stood from an entry on: balances, and whether it was closed.
type Standing = (u64, Option<([u128; 4], bool)>);

/// Compares what is observed of one run with the model.
pub struct Auditor {
    /// What was wrong, and what happened.
    pub findings: Findings,
    model: Naive,
    head: Head,
    time: i64,
    asked: BTreeMap<Name, Asked>,
    /// Which entry each command is, and what came of it.
    placed: BTreeMap<Name, (u64, Vec<u8>)>,
    /// What left a gateway as an answer.
    answered: Vec<(Name, Decided)>,
    history: BTreeMap<u128, Vec<Standing>>,
    /// The last entry of which some client heard.
    heard: u64,
    /// For each account: no later read may see it as it stood before this entry.
    seen: BTreeMap<u128, u64>,
}

impl Auditor {
    /// Of an empty journal.
    #[must_use]
    pub fn new(journal: JournalId) -> Self {
        Self {
            findings: Findings::default(),
            model: Naive::default(),
            head: Head::start(journal),
            time: i64::MIN,
            asked: BTreeMap::new(),
            placed: BTreeMap::new(),
            answered: Vec::new(),
            history: BTreeMap::new(),
            heard: 0,
            seen: BTreeMap::new(),
        }
    }

    /// The journal as far as it was seen.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The time of its last entry.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        UnixMillis(self.time)
    }

    /// A client has made up a command; `meaning` is what its body says, if it says anything.
    pub fn asked(&mut self, command: &Command, meaning: Option<LedgerCommand>) {
        let body = command.body.clone();
        self.asked.insert(name_of(command), Asked { body, meaning });
    }

    /// Looks at what is new in a journal, and at what is old.
    ///
    /// # Errors
    /// A read that was told to fail says nothing: look again.
    pub fn absorb(&mut self, rows: &dyn Rows) -> Result<(), StoreError> {
        let found = journal::head(rows)?;
        let Some(found) = found.filter(|found| found.seq >= self.head.seq) else {
            let (seen, found) = (self.head.seq.0, found.map_or(0, |head| head.seq.0));
            self.violated("journal", format!("it went to {seen}, and goes to {found}"));
            return Ok(());
        };
        let from = self.head.seq.max(JournalSeq(1));
        let read = journal::read(rows, from, &mut |stored: Stored| {
            if stored.seq == self.head.seq {
                self.compare_last(&stored);
            } else {
                self.take(stored);
            }
            Ok::<_, JournalError>(ControlFlow::Continue(()))
        });
        match read {
            Ok(()) => {}
            Err(JournalError::Store(error)) => return Err(error),
            Err(error) => self.violated("journal", error),
        }
        if self.head != found {
            self.violated("journal", "its head is not the last entry");
        }
        Ok(())
    }

    /// Compares the tables of a gateway that stands where the journal does.
    ///
    /// # Errors
    /// As [`Self::absorb`].
    pub fn compare(&mut self, rows: &dyn Rows) -> Result<(), StoreError> {
        let mut wrong = Vec::new();
        for account in self.model.accounts() {
            let id = account.id;
            let expected = (self.model.balances(id), self.model.is_closed(id));
            let Some(state) = ledger::account(rows, id)? else {
                wrong.push(format!("account {id} is not there"));
                continue;
            };
            let found = (sums(&state.balances), state.closed);
            if found != expected {
                wrong.push(format!(
                    "account {id} has {found:?}, and should have {expected:?}"
                ));
            }
            if let Some(rule) = broken_rule(&state) {
                wrong.push(format!("account {id}: {rule}"));
            }
        }
        let accounts = u64::try_from(self.model.accounts().count()).unwrap_or(u64::MAX);
        let totals = ledger::totals(rows)?;
        if totals.values().map(|totals| totals.accounts).sum::<u64>() != accounts {
            wrong.push("there are accounts that nobody opened".to_owned());
        }
        for (asset, totals) in totals {
            if !totals.is_balanced() {
                wrong.push(format!("debits and credits of asset {asset} differ"));
            }
        }
        if let Some(words) = other_time(rows, self.head.seq, self.time)? {
            self.violated("journal", words);
        }
        self.findings.happened("tables compared");
        for words in wrong {
            self.violated("balances", format!("{words} (entry {})", self.head.seq.0));
        }
        Ok(())
    }

    /// Whether a hold lasts whose time is over at `now`, when a gateway has let happen what
    /// was due then.
    pub fn check_holds(&mut self, rows: &dyn Rows, now: UnixMillis) -> Result<(), StoreError> {
        self.compare(rows)?;
        if self.model.next_expiry().is_some_and(|at| at <= now.0) {
            self.violated("holds", "a hold whose time is over was not ended");
        }
        Ok(())
    }

    /// An answer leaves a gateway.
    pub fn answered(&mut self, command: &Command, decided: &Decided) {
        self.findings.happened("commands answered");
        let name = name_of(command);
        self.expect_placed(&name, decided, "as it was answered");
        self.answered.push((name, decided.clone()));
    }

    /// A client hears of an entry.
    pub fn heard(&mut self, seq: JournalSeq) {
        self.heard = self.heard.max(seq.0);
    }

    /// A client is about to read `account`: the entry from which on it may be seen.
    #[must_use]
    pub fn begin_read(&self, account: u128) -> u64 {
        let seen = self.seen.get(&account).copied().unwrap_or_default();
        seen.max(self.heard)
    }

    /// A client that began to read when `since` was the least it could see, has read.
    pub fn read(&mut self, account: u128, since: u64, state: Option<AccountState>) {
        self.findings.happened("balances read");
        let found = state.map(|state| (sums(&state.balances), state.closed));
        let standings = self.history.get(&account).map_or(&[][..], Vec::as_slice);
        let began = standings.partition_point(|(seq, _)| *seq <= since);
        let first = match began.checked_sub(1).and_then(|place| standings.get(place)) {
            Some((_, standing)) => (since, *standing),
            None => (since, None),
        };
        let later = standings.get(began..).unwrap_or_default().iter().copied();
        let seen = std::iter::once(first)
            .chain(later)
            .find(|(_, standing)| *standing == found);
        match seen {
            Some((seq, _)) => {
                let seen = self.seen.entry(account).or_default();
                *seen = seq.max(*seen);
            }
            None => self.violated(
                "reads",
                format!("account {account} was not {found:?} from entry {since} on"),
            ),
        }
    }

    /// Everything is over: what was answered is still so.
    pub fn finish(&mut self) {
        for (name, decided) in std::mem::take(&mut self.answered) {
            self.expect_placed(&name, &decided, "at the end");
        }
    }

    fn expect_placed(&mut self, name: &Name, decided: &Decided, when: &str) {
        let seq = decided.seq.0;
        let words = match self.placed.get(name) {
            Some((place, outcome)) if *place == seq && *outcome == decided.outcome => return,
            Some((place, _)) if *place == seq => {
                format!("entry {seq} has another outcome {when}")
            }
            Some((place, _)) => format!("what was answered as entry {seq} is {place} {when}"),
            None => format!("what was answered as entry {seq} is not in the journal {when}"),
        };
        self.violated("answers", words);
    }

    fn compare_last(&mut self, stored: &Stored) {
        if stored.hash != self.head.hash {
            self.violated("journal", format!("entry {} has changed", stored.seq.0));
        }
    }

    /// The next entry.
    fn take(&mut self, stored: Stored) {
        let Stored { seq, hash, entry } = stored;
        let chain = Chain::of(self.head.id);
        self.head = chain.extend(self.head, &entry.header, &entry.command, &entry.outcome);
        if self.head.hash != hash {
            self.violated("journal", format!("the hash of entry {} is wrong", seq.0));
            self.head.hash = hash;
        }
        let Some((admitted_at, name)) = read_header(&entry.header) else {
            self.violated("journal", format!("entry {} has no header", seq.0));
            return;
        };
        self.time = self.time.max(admitted_at);
        let again = self
            .placed
            .insert(name.clone(), (seq.0, entry.outcome.clone()));
        if let Some((before, _)) = again {
            self.violated("commands", format!("{before} and {} are one", seq.0));
        }
        let expected = match self.meaning(&name, &entry.command) {
            Ok(Some(command)) => Outcome::Done(self.carry_out(&command).encode()),
            Ok(None) => Outcome::Rejected(Rejection::Malformed),
            Err(words) => {
                self.violated("commands", format!("entry {} {words}", seq.0));
                return;
            }
        };
        if expected.encode() != entry.outcome {
            let found = Outcome::decode(&entry.outcome);
            self.violated(
                "outcomes",
                format!(
                    "entry {} came to {found:?}, and should to {expected:?}",
                    seq.0
                ),
            );
        }
        self.note_standings(seq.0);
    }

    /// What the entry asks for: by whoever asked, not by its bytes.
    fn meaning(&self, name: &Name, content: &[u8]) -> Result<Option<LedgerCommand>, &'static str> {
        let body = match content.split_first() {
            Some((&LEDGER_DOMAIN, body)) => body,
            _ => return Err("is for another part of the gateway"),
        };
        if name.0 == DRIVER_CALLER || name.0 == KERNEL_CALLER {
            return if body == LedgerCommand::Sweep.encode() {
                Ok(Some(LedgerCommand::Sweep))
            } else {
                Err("is a command of the gateway's own that does more than sweep")
            };
        }
        match self.asked.get(name) {
            Some(asked) if asked.body == body => Ok(asked.meaning.clone()),
            Some(_) => Err("is not what was asked for under its key"),
            None => Err("is what nobody asked for"),
        }
    }

    fn carry_out(&mut self, command: &LedgerCommand) -> Failures {
        for _ in 0..self.model.expire(self.time) {
            self.findings.happened("holds expired");
        }
        let failures = self.model.apply(self.time, command);
        if let LedgerCommand::CreateAccounts(accounts) = command
            && failures.0.is_empty()
        {
            let closed = AccountFlags::CLOSED;
            for _ in accounts.iter().filter(|it| it.flags.has(closed)) {
                self.findings.happened("accounts opened closed");
            }
        }
        if let LedgerCommand::CreateTransfers(transfers) = command {
            let failed: BTreeMap<u16, u8> = failures.0.iter().copied().collect();
            for (index, transfer) in (0_u16..).zip(transfers) {
                let code = failed.get(&index).copied().unwrap_or_default();
                if let Some(what) = tell(transfer, TransferResult::from_code(code)) {
                    self.findings.happened(what);
                }
            }
        }
        failures
    }

    /// From entry `seq` on accounts stand as they do now.
    fn note_standings(&mut self, seq: u64) {
        for account in self.model.accounts() {
            let id = account.id;
            let now = Some((self.model.balances(id), self.model.is_closed(id)));
            let standings = self.history.entry(id).or_default();
            if standings.last().is_none_or(|(_, before)| *before != now) {
                standings.push((seq, now));
            }
        }
    }

    fn violated(&mut self, checker: &'static str, what: impl std::fmt::Display) {
        self.findings.violated(checker, what);
    }
}
