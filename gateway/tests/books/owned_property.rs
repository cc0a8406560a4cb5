//! Random people of the ledger, batches and banks: a hold of a batch ends as the books decided first, no satang is both
//! paid and given back, and no file leaves once something is decided.

use std::collections::BTreeMap;

use khlong_gateway::domains::books::payout::{
    ExportAnswer, PayoutBatch, PayoutFormat, Settlement, StatusReport, exported, first_settled,
};
use khlong_gateway::domains::ledger::{Transfer, TransferResult as R, TransferState, transfer};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{hold, pay, post, void};
use crate::office::{Office, start_again};
use crate::shops::{CLEARING, batch, creditor, debtor, export, noted};

/// Holds of the test; each is of [`amount_of`] satang.
const HOLDS: u128 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// A batch of the holds whose bits are set.
    Export(u16),
    /// Somebody posts or voids a hold, or a part of it.
    Meddle {
        hold: u128,
        is_post: bool,
        part: bool,
    },
    /// The bank pays the first, and rejects the second; the ledger is asked at once, or never.
    Answer {
        paid: u16,
        returned: u16,
        is_carried_out: bool,
    },
    /// What an earlier answer decided is asked of the ledger, late.
    Late(usize),
    /// The file of an earlier batch is asked for again.
    Again(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bits = 0_u16..(1 << HOLDS);
    vec(
        prop_oneof![
            3 => bits.clone().prop_map(Step::Export),
            6 => (1..=HOLDS, any::<bool>(), any::<bool>())
                .prop_map(|(hold, is_post, part)| Step::Meddle { hold, is_post, part }),
            5 => (bits.clone(), bits, any::<bool>()).prop_map(|(paid, returned, is_carried_out)| {
                Step::Answer { paid, returned: returned & !paid, is_carried_out }
            }),
            3 => (0_usize..20).prop_map(Step::Late),
            2 => (0_usize..4).prop_map(Step::Again),
            1 => Just(Step::Restart),
        ],
        1..40,
    )
}

fn ids(bits: u16) -> Vec<u128> {
    (1..=HOLDS).filter(|id| bits >> (id - 1) & 1 == 1).collect()
}

/// The naive books: which batch a hold is in, whether it was decided to be paid, how it ended.
#[derive(Clone, Copy, Default)]
struct Naive {
    batch: Option<u128>,
    decided: Option<bool>,
    ended: Option<TransferState>,
}

const fn amount_of(hold: u128) -> u128 {
    100 + hold
}

struct Run {
    office: Office,
    holds: BTreeMap<u128, Naive>,
    batches: Vec<u128>,
    decided: Vec<Transfer>,
    next: u128,
    /// Of holds in no batch that were posted in part.
    kept_back: u128,
}

impl Run {
    fn state(&self, hold: u128) -> TransferState {
        transfer(self.office.store(), hold).unwrap().unwrap().2
    }

    fn export(&mut self, holds: &[u128]) {
        let creditors: Vec<_> = holds.iter().map(|id| (*id, creditor("A"))).collect();
        let is_free = |id: &u128| self.holds[id].batch.is_none() && self.holds[id].ended.is_none();
        let all_free = !holds.is_empty() && holds.iter().all(is_free);
        let Ok(made) = batch(&self.office, &creditors) else {
            assert!(!all_free);
            return;
        };
        let record = made.record(PayoutFormat::Csv).unwrap();
        let told = export(&mut self.office, &record);
        if all_free {
            assert!(matches!(told, ExportAnswer::Recorded(..)), "{told:?}");
            self.batches.push(record.batch);
            for id in holds {
                self.holds.get_mut(id).unwrap().batch = Some(record.batch);
            }
        }
    }

    fn meddle(&mut self, id: u128, is_post: bool, part: bool) {
        self.next += 1;
        let asked = match (is_post, part) {
            (true, true) => post(self.next, id, 1),
            (true, false) => post(self.next, id, u128::MAX),
            (false, _) => void(self.next, id),
        };
        let told = self.office.bank.send_one(asked);
        let hold = self.holds.get_mut(&id).unwrap();
        match (hold.ended, hold.batch) {
            (Some(_), _) => assert_ne!(told, R::Ok),
            (None, Some(_)) => assert_eq!(told, R::PendingTransferOwned),
            (None, None) => {
                assert_eq!(told, R::Ok);
                if is_post && part {
                    self.kept_back += amount_of(id) - 1;
                }
                hold.ended = Some(if is_post {
                    TransferState::Posted
                } else {
                    TransferState::Voided
                });
            }
        }
    }

    /// The first word about a hold that waits decides; a later one agrees, or contradicts.
    fn decide(&mut self, batch: u128, paid: &[u128], returned: &[u128]) -> Settlement {
        let mut expected = Settlement::default();
        let said = paid.iter().map(|id| (*id, true));
        let said: BTreeMap<u128, bool> =
            said.chain(returned.iter().map(|id| (*id, false))).collect();
        for (id, known) in &mut self.holds {
            let Some(is_paid) = said.get(id).copied() else {
                if known.batch == Some(batch) {
                    expected.waiting.push(*id);
                }
                continue;
            };
            if known.batch != Some(batch) {
                expected.foreign.push(format!("{id:032x}"));
                continue;
            }
            let decided = *known.decided.get_or_insert(is_paid);
            let list = match known.ended {
                _ if decided != is_paid => &mut expected.contradicted,
                Some(_) => &mut expected.settled,
                None if is_paid => &mut expected.posted,
                None => &mut expected.voided,
            };
            list.push(*id);
        }
        expected
    }

    fn answer(&mut self, paid: &[u128], returned: &[u128], is_carried_out: bool) {
        for id in self.batches.clone() {
            let Ok(said) = StatusReport::of_person(id, paid, returned) else {
                return;
            };
            let told = noted(&mut self.office, &said);
            let expected = Settlement {
                transfers: told.transfers.clone(),
                ..self.decide(id, paid, returned)
            };
            assert_eq!(told, expected);
            assert_eq!(told.transfers.len(), told.posted.len() + told.voided.len());
            self.decided.extend(&told.transfers);
            if is_carried_out {
                for transfer in told.transfers {
                    self.carry_out(transfer);
                }
            }
        }
    }

    fn again(&self, batch: u128) {
        let known = exported(self.office.store(), batch).unwrap().unwrap();
        let ids = &known.record.transfers;
        let creditors = ids.iter().map(|id| (*id, creditor("A"))).collect();
        let made = PayoutBatch::again(self.office.store(), debtor(), &known, creditors);
        let is_decided = |id: &&u128| self.holds[*id].decided.is_some();
        let first = ids.iter().find(is_decided).copied();
        assert_eq!(made.is_ok(), first.is_none(), "{made:?}");
        assert_eq!(first_settled(self.office.store(), ids).unwrap(), first);
    }

    /// What is held towards the clearing account and what was paid to it is what the model says.
    fn assert_balances(&self) {
        let sum = |is_in: fn(&Naive) -> bool| {
            let some = self.holds.iter().filter(|(_, known)| is_in(known));
            some.map(|(id, _)| amount_of(*id)).sum::<u128>()
        };
        let (held, paid) = (
            sum(|it| it.ended.is_none()),
            sum(|it| it.ended == Some(TransferState::Posted)) - self.kept_back,
        );
        assert_eq!(self.office.bank.balances(CLEARING), [0, 0, held, paid]);
        assert_eq!(self.office.bank.balances(3), [held, paid, 0, 1_000_000]);
    }

    fn carry_out(&mut self, asked: Transfer) {
        let told = self.office.bank.send_one(asked);
        let is_paid = asked.amount == u128::MAX;
        let hold = self.holds.get_mut(&asked.pending_id).unwrap();
        match hold.ended {
            Some(_) => assert_ne!(told, R::Ok),
            None => {
                assert_eq!((told, hold.decided), (R::Ok, Some(is_paid)));
                hold.ended = Some(if is_paid {
                    TransferState::Posted
                } else {
                    TransferState::Voided
                });
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.office.look_at_the_clock();
        match step {
            Step::Export(bits) => self.export(&ids(*bits)),
            Step::Meddle {
                hold,
                is_post,
                part,
            } => self.meddle(*hold, *is_post, *part),
            Step::Answer {
                paid,
                returned,
                is_carried_out,
            } => {
                self.answer(&ids(*paid), &ids(*returned), *is_carried_out);
            }
            Step::Late(nth) => {
                if let Some(transfer) = self.decided.get(*nth).copied() {
                    self.carry_out(transfer);
                }
            }
            Step::Again(nth) => {
                if let Some(batch) = self.batches.get(*nth).copied() {
                    self.again(batch);
                }
            }
            Step::Restart => start_again(&mut self.office.bank),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hold_of_a_batch_ends_as_the_books_decided(steps in steps()) {
        let mut office = Office::new();
        office.pay(&[pay(100, 1, 3, 1_000_000)]);
        let all: Vec<Transfer> = (1..=HOLDS).map(|id| hold(id, 3, CLEARING, amount_of(id), 0)).collect();
        office.pay(&all);
        let holds = (1..=HOLDS).map(|id| (id, Naive::default())).collect();
        let mut run = Run { office, holds, batches: Vec::new(), decided: Vec::new(), next: 1_000, kept_back: 0 };
        for step in &steps {
            run.step(step);
            for (id, known) in &run.holds {
                prop_assert_eq!(run.state(*id), known.ended.unwrap_or(TransferState::Pending), "hold {}", id);
            }
            run.assert_balances();
        }
        run.office.assert_replays();
    }
}
