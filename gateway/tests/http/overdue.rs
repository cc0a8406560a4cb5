//! What is overdue and rejected is counted, for whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::limits::TABLES_EVERY;
use khlong_gateway::domains::ledger::Ledger;
use khlong_gateway::kernel::{ApplyError, Context, Domain, Rejection};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use crate::days::{TODAY, Time, start_with};
use crate::due::entries;
use crate::metrics::metrics;
use crate::paced::millis;
use crate::server::set_up;
use crate::until::until;

/// A domain that has more to do than a command lets happen, and rejects that, until somebody else does it.
struct Swamped(Arc<AtomicBool>);

impl Domain for Swamped {
    fn number(&self) -> u8 {
        200
    }

    fn tables(&self) -> &'static [Table] {
        &[]
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, _: &[u8]) -> Result<Vec<u8>, ApplyError> {
        Err(ApplyError::Rejected(Rejection::Invariant))
    }

    fn roll_back(&mut self) {}

    fn is_overdue(&self, _: &dyn Rows, _: UnixMillis) -> Result<bool, StoreError> {
        Ok(self.0.load(Ordering::SeqCst))
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

#[test]
fn what_is_overdue_and_rejected_is_counted_once_and_shown_while_it_is_so() {
    let time = Time::at(TODAY.start().0);
    let is_overdue = Arc::new(AtomicBool::new(true));
    let swamped = Swamped(Arc::clone(&is_overdue));
    let server = start_with(&MemoryDisk::new(), &time, move || {
        vec![Box::new(swamped), Box::new(Ledger::without_owners())]
    });
    let shown = |domains: u64| {
        let line = format!("khlong_gateway_overdue_rejected_domains {domains}");
        metrics(&server).lines().any(|one| one == line)
    };
    let counted = |count: u64| {
        let line = format!(
            "khlong_gateway_commands_total{{kind=\"overdue\",outcome=\"rejected\"}} {count}"
        );
        let text = metrics(&server);
        assert!(
            !text.contains("kind=\"overdue\",outcome=\"done\""),
            "{text}"
        );
        text.lines().any(|one| one == line)
    };
    assert!(
        counted(0) && shown(0),
        "so that the first one is an increase"
    );
    set_up(server.address, 2);
    // Two commands, and one of the kernel's own before them.
    assert_eq!(entries(&server), 3);
    until("it is counted", || counted(1));
    // That is looked at now and then, by the driver's clock.
    let look = || {
        time.pass(millis(TABLES_EVERY));
        assert_eq!(entries(&server), 3);
    };
    look();
    until("it is shown", || shown(1));
    // However long it is ago, and whether or not it is tried again.
    look();
    assert_eq!(entries(&server), 3);
    assert!(counted(1) && shown(1));
    is_overdue.store(false, Ordering::SeqCst);
    look();
    until("it is over", || shown(0));
    assert!(counted(1));
    server.stop().unwrap();
}
