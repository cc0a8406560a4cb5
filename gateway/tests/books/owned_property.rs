//! Random people of the ledger, batches and banks: a hold of a batch ends as the books decided last before it ended,
//! and no satang is both paid and given back.

use std::collections::BTreeMap;

use khlong_gateway::domains::books::payout::{ExportAnswer, PayoutFormat, StatusReport};
use khlong_gateway::domains::ledger::{Transfer, TransferResult as R, TransferState, transfer};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{hold, pay, post, void};
use crate::office::{Office, start_again};
use crate::payout::{CLEARING, batch, creditor, export, noted};

/// Holds of the test; each is of 100 satang and its id.
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
            1 => Just(Step::Restart),
        ],
        1..40,
    )
}

fn ids(bits: u16) -> Vec<u128> {
    (1..=HOLDS).filter(|id| bits >> (id - 1) & 1 == 1).collect()
}

/// The naive books: which batch a hold is in, what was decided, how it ended.
#[derive(Clone, Copy, Default)]
struct Naive {
    batch: Option<u128>,
    decided: Option<bool>,
    ended: Option<TransferState>,
}

struct Run {
    office: Office,
    holds: BTreeMap<u128, Naive>,
    batches: Vec<u128>,
    decided: Vec<Transfer>,
    next: u128,
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
            (None, Some(_)) => assert_eq!(told, R::PendingTransferInPayout),
            (None, None) => {
                assert_eq!(told, R::Ok);
                hold.ended = Some(if is_post {
                    TransferState::Posted
                } else {
                    TransferState::Voided
                });
            }
        }
    }

    fn answer(&mut self, paid: &[u128], returned: &[u128], is_carried_out: bool) {
        for id in self.batches.clone() {
            let Ok(said) = StatusReport::of_person(id, paid, returned) else {
                return;
            };
            let told = noted(&mut self.office, &said);
            for (list, is_paid) in [(&told.posted, true), (&told.voided, false)] {
                for hold in list {
                    let known = self.holds.get_mut(hold).unwrap();
                    assert_eq!((known.batch, known.ended), (Some(id), None));
                    known.decided = Some(is_paid);
                }
            }
            self.decided.extend(&told.transfers);
            if is_carried_out {
                for transfer in told.transfers {
                    self.carry_out(transfer);
                }
            }
        }
    }

    fn carry_out(&mut self, asked: Transfer) {
        let told = self.office.bank.send_one(asked);
        let is_paid = asked.amount == u128::MAX;
        let hold = self.holds.get_mut(&asked.pending_id).unwrap();
        match hold.ended {
            Some(_) => assert_ne!(told, R::Ok),
            None if hold.decided == Some(is_paid) => {
                assert_eq!(told, R::Ok);
                hold.ended = Some(if is_paid {
                    TransferState::Posted
                } else {
                    TransferState::Voided
                });
            }
            None => assert_eq!(told, R::PendingTransferInPayout),
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
        let all: Vec<Transfer> = (1..=HOLDS).map(|id| hold(id, 3, CLEARING, 100 + id, 0)).collect();
        office.pay(&all);
        let holds = (1..=HOLDS).map(|id| (id, Naive::default())).collect();
        let mut run = Run { office, holds, batches: Vec::new(), decided: Vec::new(), next: 1_000 };
        for step in &steps {
            run.step(step);
            for (id, known) in &run.holds {
                prop_assert_eq!(run.state(*id), known.ended.unwrap_or(TransferState::Pending), "hold {}", id);
            }
        }
        run.office.assert_replays();
    }
}
