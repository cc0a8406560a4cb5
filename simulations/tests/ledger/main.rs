//! The search among gateways: it finds what is planted, and nothing where nothing is; one
//! seed gives one run.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

mod office;
mod planted;
mod rows;

use std::process::Command as Program;

use khlong_simulations::fuzz::batch::Batch;
use khlong_simulations::fuzz::ledger::plan::{Doing, LedgerPlan, Moved};
use khlong_simulations::fuzz::shrink::shrink;
use khlong_simulations::fuzz::workload::Workload as _;

use office::THB;

#[test]
fn one_seed_gives_one_plan_and_one_run() {
    for seed in 0..6 {
        let plan = LedgerPlan::generate(seed);
        let text = toml::to_string(&plan).unwrap();
        let written: LedgerPlan = toml::from_str(&text).unwrap();
        assert_eq!(written, plan);
        let (first, second) = (plan.replay(), written.replay());
        assert_eq!(first, second);
        assert_ne!(
            first.trace_hash,
            LedgerPlan::generate(seed + 1).replay().trace_hash
        );
    }
}

#[test]
fn thirty_seeds_are_clean_and_see_most_kinds_of_trouble() {
    let mut batch = Batch::<LedgerPlan>::default();
    for seed in 0..30 {
        let failed = batch.run(seed);
        assert!(failed.is_none(), "{failed:?}");
    }
    let never = batch.never_happened();
    assert!(never.len() < 8, "{never:?}");
}

/// The model knows no codes: a plan that says what it cannot know is refused, and the reason
/// is a violation that a smaller plan has too.
#[test]
fn what_fails_is_made_smaller() {
    let mut plan = LedgerPlan::generate(3);
    let transfers = vec![Moved {
        id: 1,
        debit: 1,
        credit: 2,
        amount: None,
        pending_id: 0,
        timeout_s: 0,
        ledger: THB,
        flags: 0,
    }];
    plan.steps[7].what = Doing::Transfers {
        client: 0,
        transfers,
    };
    plan.blame(plan.replay().violations);
    assert!(plan.violations[0].contains("the model does not know"));
    let (small, runs) = shrink(&plan);
    assert_eq!(small.steps.len(), 1, "after {runs} runs");
}

#[test]
fn the_command_line_searches_gateways_and_replays_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let sim = |arguments: &[&str]| {
        Program::new(env!("CARGO_BIN_EXE_khlong-sim"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let list = folder.path().join("seeds.txt");
    std::fs::write(&list, "1\n2 # two\n").unwrap();
    let list = list.to_str().unwrap();
    let out = folder.path().to_str().unwrap();
    let done = sim(&[
        "--json",
        "fuzz",
        "--workload",
        "ledger",
        "--seeds-file",
        list,
        "--out",
        out,
    ]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), &told["seeds"]), (Some(0), &2.into()));
    let plan = LedgerPlan::generate(2);
    let file = folder.path().join("plan.toml");
    std::fs::write(&file, toml::to_string(&plan).unwrap()).unwrap();
    let done = sim(&["--json", "replay", file.to_str().unwrap()]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(told["trace_hash"], plan.replay().trace_hash);
}
