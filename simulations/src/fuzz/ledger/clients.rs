//! Clients: each asks until it is answered, now one gateway and now another, and compares
//! what it is told.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Command, Decided, Outcome, Rejection};

use super::auditor::Auditor;
use super::gateway::{Answer, Ask, Reply, Request};
use crate::kernel::SECOND;

/// A client asks again after so long, and then each time later.
const RETRY: u64 = 2 * SECOND;
/// At most so many times as late.
const RETRIES_SLOWER_MAX: u64 = 5;
/// What a client uses its keys for.
const SCOPE: &[u8] = b"transfers";

/// What a client waits for.
enum Expects {
    Outcome,
    /// The entry from which on the account may be seen.
    Balance(u64),
    /// That its key belongs to another command.
    Refusal,
}

/// Something that a client asks for, from the first try to the answer.
pub(super) struct Call {
    client: u8,
    /// Which gateway it asks.
    place: usize,
    ask: Ask,
    expects: Expects,
    tries: u64,
    /// What it was told; the same for ever.
    decided: Option<Decided>,
    is_done: bool,
}

impl Call {
    /// Whether it has no answer yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_done
    }
}

/// All that clients asked for.
pub(super) struct Calls {
    calls: Vec<Call>,
    gateways: usize,
}

impl Calls {
    pub(super) const fn new(gateways: usize) -> Self {
        Self {
            calls: Vec::new(),
            gateways,
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&Call> {
        self.calls.get(number)
    }

    pub(super) fn are_done(&self) -> bool {
        self.waiting().is_none()
    }

    /// One that still waits.
    pub(super) fn waiting(&self) -> Option<String> {
        let waiting = self.calls.iter().position(Call::is_waiting)?;
        let call = self.calls.get(waiting)?;
        Some(format!("client {} (call {waiting})", call.client))
    }

    /// A command of the ledger, under a key of its own.
    pub(super) fn command(
        &mut self,
        client: u8,
        meaning: Option<LedgerCommand>,
        auditor: &mut Auditor,
    ) -> usize {
        let body = meaning
            .as_ref()
            .map_or_else(Vec::new, LedgerCommand::encode);
        self.ask_for(client, body, meaning, auditor)
    }

    /// Bytes that are none.
    pub(super) fn garbage(&mut self, client: u8, bytes: u16, auditor: &mut Auditor) -> usize {
        self.ask_for(client, vec![0xee; bytes.into()], None, auditor)
    }

    fn ask_for(
        &mut self,
        client: u8,
        body: Vec<u8>,
        meaning: Option<LedgerCommand>,
        auditor: &mut Auditor,
    ) -> usize {
        let command = Command {
            caller: format!("client {client}").into_bytes(),
            scope: SCOPE.to_vec(),
            key: self.calls.len().to_string().into_bytes(),
            // The gateway says when.
            admitted_at: UnixMillis(0),
            domain: LEDGER_DOMAIN,
            body,
        };
        auditor.asked(&command, meaning);
        self.push(client, Ask::Write(command), Expects::Outcome)
    }

    pub(super) fn read(&mut self, client: u8, account: u16, auditor: &Auditor) -> usize {
        let account = account.into();
        let since = auditor.begin_read(account);
        self.push(client, Ask::Read(account), Expects::Balance(since))
    }

    /// An earlier command of a client, counted round.
    pub(super) fn nth(&self, client: u8, nth: u16) -> Option<usize> {
        let mine = |(_, call): &(usize, &Call)| {
            call.client == client && matches!(call.expects, Expects::Outcome)
        };
        let count = self.calls.iter().enumerate().filter(mine).count();
        let place = usize::from(nth).checked_rem(count)?;
        let mut mine = self.calls.iter().enumerate().filter(mine);
        mine.nth(place).map(|(number, _)| number)
    }

    /// The key of an earlier command that is decided, for another one.
    pub(super) fn reuse(&mut self, client: u8, nth: u16) -> Option<usize> {
        let before = self.calls.get(self.nth(client, nth)?)?;
        let (Ask::Write(command), Some(_)) = (&before.ask, &before.decided) else {
            return None;
        };
        let mut body = command.body.clone();
        body.push(0);
        let other = Command {
            body,
            ..command.clone()
        };
        Some(self.push(client, Ask::Write(other), Expects::Refusal))
    }

    fn push(&mut self, client: u8, ask: Ask, expects: Expects) -> usize {
        self.calls.push(Call {
            client,
            place: usize::from(client) % self.gateways.max(1),
            ask,
            expects,
            tries: 0,
            decided: None,
            is_done: false,
        });
        self.calls.len() - 1
    }

    /// The next try: where it goes, when to try again, and what is sent.
    pub(super) fn send(&mut self, number: usize) -> Option<(usize, u64, Request)> {
        let gateways = self.gateways.max(1);
        let call = self.calls.get_mut(number)?;
        call.tries += 1;
        // Twice at one gateway, then at the next.
        if call.tries > 1 && call.tries % 2 == 1 {
            call.place = (call.place + 1) % gateways;
        }
        let wait = RETRY * call.tries.min(RETRIES_SLOWER_MAX);
        let request = Request {
            call: number,
            ask: call.ask.clone(),
        };
        Some((call.place, wait, request))
    }

    /// An answer leaves a gateway.
    pub(super) fn leaves(&self, reply: &Reply, auditor: &mut Auditor) {
        let call = self.calls.get(reply.call);
        if let (Some(Ask::Write(command)), Answer::Decided(decided)) =
            (call.map(|call| &call.ask), &reply.answer)
        {
            auditor.answered(command, decided);
        }
    }

    /// An answer gets to its client. Whether it is the first one.
    pub(super) fn told(&mut self, reply: &Reply, auditor: &mut Auditor) -> bool {
        let Some(call) = self.calls.get_mut(reply.call) else {
            return false;
        };
        let was_waiting = !call.is_done;
        let findings = &mut auditor.findings;
        match (&reply.answer, &call.expects) {
            (Answer::Busy, _) => {
                findings.happened("refused while busy");
                return false;
            }
            (Answer::Decided(decided), Expects::Outcome) => {
                match &call.decided {
                    Some(before) if before == decided => {
                        findings.happened("commands answered again");
                    }
                    Some(_) => findings.violated(
                        "answers",
                        format_args!("a retry was told something else (call {})", reply.call),
                    ),
                    None if is_nonsense(decided) => findings.happened("nonsense refused"),
                    None => {}
                }
                call.decided = Some(decided.clone());
                auditor.heard(decided.seq);
            }
            (Answer::KeyReused, Expects::Refusal) => {
                findings.happened("keys of other commands refused");
            }
            (Answer::Balance(state), Expects::Balance(since)) => {
                // Repeated messages say nothing new: the first one was judged.
                if let (true, Ask::Read(account)) = (was_waiting, &call.ask) {
                    auditor.read(*account, *since, *state);
                }
            }
            (answer, _) => {
                findings.violated(
                    "answers",
                    format_args!("call {} was told {answer:?}", reply.call),
                );
            }
        }
        call.is_done = true;
        was_waiting
    }
}

fn is_nonsense(decided: &Decided) -> bool {
    decided.outcome() == Some(Outcome::Rejected(Rejection::Malformed))
}
