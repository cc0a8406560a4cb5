//! From a seed to a plan: as in the search among nodes and relays, each seed leaves most
//! kinds of trouble out and does much of the others.

use std::ops::RangeInclusive;

use khlong_gateway::domains::ledger::{AccountFlags, TransferFlags as F};
use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::meaning::ASSETS;
use super::plan::{Doing, LedgerPlan, Moved, Opened, SCHEMA_VERSION, Step, Swarm, WORKLOAD};
use super::trouble::{TROUBLES, torment};
use crate::kernel::seeds::Seeds;
use crate::kernel::{MINUTE, SECOND};
use crate::units::Span;

/// Accounts that a plan opens, and one that nobody does.
const ACCOUNTS: RangeInclusive<u16> = 1..=8;
/// Accounts of the first asset; the others are of the second one.
const FIRST_ASSET: RangeInclusive<u16> = 1..=6;
/// Ids of transfers, few enough to meet.
const IDS: RangeInclusive<u16> = 1..=400;
/// Among so many steps a hold is looked for that is settled then.
const HELD_STEPS: usize = 20;
/// Until there are accounts, if nothing is lost.
const OPENING: u64 = 5 * SECOND;

/// The plan of a seed.
#[must_use]
pub fn generate(seed: u64) -> LedgerPlan {
    let mut random = Seeds::new(seed).stream("ledger plan", "");
    let remote = random.random_bool(0.5);
    let gateways = if remote && random.random_bool(0.7) {
        2
    } else {
        1
    };
    let clients = random.random_range(1..=6);
    let mut plan = LedgerPlan {
        schema_version: SCHEMA_VERSION,
        workload: WORKLOAD.to_owned(),
        seed,
        violations: Vec::new(),
        gateways,
        remote,
        clients,
        swarm: swarm(&mut random),
        steps: Vec::new(),
    };
    let span_us = random.random_range(MINUTE / 2..=3 * MINUTE);
    let closed = closed(&mut Seeds::new(seed).stream("ledger plan, closed accounts", ""));
    opening(&mut plan, &mut random, closed);
    business(&mut plan, &mut random, span_us);
    let mut troubles = TROUBLES;
    troubles.shuffle(&mut random);
    let chosen = random.random_range(1..=4);
    for trouble in troubles.into_iter().take(chosen) {
        torment(&mut plan, &mut random, OPENING + span_us, trouble);
    }
    plan.steps.sort_by_key(|step| step.at);
    plan
}

pub(super) fn pick<T: Copy>(random: &mut ChaCha8Rng, from: &[T], otherwise: T) -> T {
    from.choose(random).copied().unwrap_or(otherwise)
}

fn swarm(random: &mut ChaCha8Rng) -> Swarm {
    Swarm {
        loss: pick(random, &[0.0, 0.0, 0.05, 0.2], 0.0),
        duplication: pick(random, &[0.0, 0.05, 0.3], 0.0),
        propagation: Span(pick(random, &[1_000, 20_000, 150_000], 1_000)),
        jitter: Span(pick(random, &[0, 10_000, 3 * SECOND], 0)),
        commit: Span(pick(random, &[200, 5_000, 60_000], 200)),
        shuffled: random.random_bool(0.7),
    }
}

/// In one plan of four an account is closed from the start; not the first, which pays the others.
fn closed(random: &mut ChaCha8Rng) -> Option<u16> {
    let others = FIRST_ASSET.start() + 1..=*FIRST_ASSET.end();
    random
        .random_bool(0.25)
        .then(|| random.random_range(others))
}

/// Assets and accounts first, and money on the accounts that may not owe any.
fn opening(plan: &mut LedgerPlan, random: &mut ChaCha8Rng, closed: Option<u16>) {
    let mut then = |at, what| plan.steps.push(Step { at: Span(at), what });
    then(0, Doing::Assets { client: 0 });
    let rules = [
        AccountFlags::default(),
        AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
        AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
        AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
    ];
    let [(first, _), (second, _)] = ASSETS;
    let mut accounts: Vec<Opened> = ACCOUNTS
        .filter(|id| id != ACCOUNTS.end())
        .map(|id| Opened {
            id,
            ledger: if FIRST_ASSET.contains(&id) {
                first
            } else {
                second
            },
            flags: if id == 1 {
                0
            } else {
                pick(random, &rules, AccountFlags::default()).0
            },
        })
        .collect();
    for account in accounts.iter_mut().filter(|it| Some(it.id) == closed) {
        account.flags |= AccountFlags::CLOSED.0;
    }
    then(
        OPENING / 2,
        Doing::Accounts {
            client: 0,
            accounts,
        },
    );
    let funds = FIRST_ASSET.filter(|id| *id != 1).map(|credit| Moved {
        id: IDS.end() + credit,
        debit: 1,
        credit,
        amount: Some(random.random_range(20..400)),
        pending_id: 0,
        timeout_s: 0,
        ledger: first,
        flags: 0,
    });
    let transfers = funds.collect();
    then(
        OPENING,
        Doing::Transfers {
            client: 0,
            transfers,
        },
    );
}

fn business(plan: &mut LedgerPlan, random: &mut ChaCha8Rng, span_us: u64) {
    let asks = random.random_range(30..=140);
    let mut times: Vec<u64> = (0..asks)
        .map(|_| random.random_range(OPENING..OPENING + span_us))
        .collect();
    times.sort_unstable();
    for at in times {
        let client = random.random_range(0..plan.clients);
        let what = match random.random_range(0..20) {
            0 => Doing::Again {
                client,
                nth: random.random(),
            },
            1 => Doing::Reuse {
                client,
                nth: random.random(),
            },
            2..=5 => Doing::Read {
                client,
                account: random.random_range(ACCOUNTS),
            },
            6 => accounts(random, client),
            7 if random.random_bool(0.3) => Doing::Garbage {
                client,
                bytes: random.random_range(0..300),
            },
            // What was asked for already, under another key.
            8 => Doing::Transfers {
                client,
                transfers: asked_before(plan, random),
            },
            _ => Doing::Transfers {
                client,
                transfers: transfers(plan, random),
            },
        };
        plan.steps.push(Step { at: Span(at), what });
    }
}

/// An account that is there already, with the same rules or others.
fn accounts(random: &mut ChaCha8Rng, client: u8) -> Doing {
    let [(first, _), (second, _)] = ASSETS;
    // The last one is seldom opened, so that most transfers to it find nobody.
    let is_last = random.random_bool(0.04);
    let id = if is_last {
        *ACCOUNTS.end()
    } else {
        random.random_range(FIRST_ASSET)
    };
    let rules = [0, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS.0, 6];
    let accounts = vec![Opened {
        id,
        ledger: pick(random, &[first, first, second], first),
        flags: pick(random, &rules, 0),
    }];
    Doing::Accounts { client, accounts }
}

fn asked_before(plan: &LedgerPlan, random: &mut ChaCha8Rng) -> Vec<Moved> {
    match plan.steps.choose(random).map(|step| &step.what) {
        Some(Doing::Transfers { transfers, .. }) => transfers.clone(),
        Some(_) | None => transfers(plan, random),
    }
}

/// What a post or void settles: mostly a hold that was asked for before.
fn held(plan: &LedgerPlan, random: &mut ChaCha8Rng) -> u16 {
    let asked = plan.steps.iter().rev().take(HELD_STEPS);
    let holds: Vec<u16> = asked
        .flat_map(|step| step.what.transfers())
        .filter(|moved| F(moved.flags).has(F::PENDING))
        .map(|moved| moved.id)
        .collect();
    match holds.choose(random) {
        Some(id) if random.random_bool(0.8) => *id,
        Some(_) | None => random.random_range(IDS),
    }
}

fn transfers(plan: &LedgerPlan, random: &mut ChaCha8Rng) -> Vec<Moved> {
    let count = random.random_range(1..=6);
    let is_chain = count > 1 && random.random_bool(0.3);
    (0..count)
        .map(|place| {
            let mut moved = transfer(plan, random);
            // The end of a chain is rarely left open.
            if is_chain && (place + 1 < count || random.random_bool(0.05)) {
                moved.flags |= F::LINKED.0;
            }
            moved
        })
        .collect()
}

fn transfer(plan: &LedgerPlan, random: &mut ChaCha8Rng) -> Moved {
    let kinds = [
        (8, F::default()),
        (6, F::PENDING),
        (5, F::POST_PENDING_TRANSFER),
        (2, F::VOID_PENDING_TRANSFER),
        (1, F::BALANCING_DEBIT),
        (1, F::BALANCING_CREDIT),
        (1, F::PENDING.with(F::BALANCING_DEBIT)),
    ];
    let closing = [F::CLOSING_DEBIT, F::CLOSING_CREDIT];
    let flags = if random.random_bool(0.01) {
        F::PENDING.with(pick(random, &closing, F::CLOSING_DEBIT))
    } else {
        let kind = kinds.choose_weighted(random, |(weight, _)| *weight);
        kind.map_or(F::default(), |(_, flags)| *flags)
    };
    let settles = flags.has_any(F::POST_PENDING_TRANSFER.with(F::VOID_PENDING_TRANSFER));
    let balancing = flags.has_any(F::BALANCING_DEBIT.with(F::BALANCING_CREDIT));
    let is_pending = flags.has(F::PENDING);
    let is_closing = flags.has_any(F::CLOSING_DEBIT.with(F::CLOSING_CREDIT));
    let all = (settles && random.random_bool(0.4)) || (balancing && random.random_bool(0.3));
    let amount = if settles && flags.has(F::VOID_PENDING_TRANSFER) && random.random_bool(0.8) {
        Some(0)
    } else {
        (!all).then(|| random.random_range(0..60))
    };
    let side = |random: &mut ChaCha8Rng| {
        let is_usual = random.random_bool(0.9);
        random.random_range(if is_usual { FIRST_ASSET } else { ACCOUNTS })
    };
    // What closes an account does so for a while only, or little would happen after it.
    let timeout_s = if is_closing {
        random.random_range(1..=5)
    } else if is_pending {
        pick(random, &[0, 0, 1, 3, 10, 45], 0)
    } else {
        0
    };
    let [(first, _), (second, _)] = ASSETS;
    let is_first = random.random_bool(0.95);
    let (debit, credit) = (side(random), side(random));
    let pending_id = held(plan, random);
    let open = Moved {
        id: random.random_range(IDS),
        debit: 0,
        credit: 0,
        amount,
        pending_id: 0,
        timeout_s,
        ledger: 0,
        flags: flags.0,
    };
    if settles {
        return Moved { pending_id, ..open };
    }
    Moved {
        debit,
        credit,
        ledger: if is_first { first } else { second },
        ..open
    }
}
