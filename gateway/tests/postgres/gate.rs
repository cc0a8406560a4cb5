//! Statements that get no further until a test says so: a trigger waits at a gate. What a test does
//! meanwhile may take as long as the machine needs.

use crate::cluster::{Cluster, signal};
use crate::until::until;

/// Makes the gate of `database`; it is closed: 0.
pub(crate) fn make(cluster: &Cluster, database: &str) {
    cluster.sql_in(
        database,
        "CREATE TABLE public.gate (upto bigint NOT NULL); INSERT INTO public.gate VALUES (0)",
    );
}

/// In the body of a trigger: waits while `what`, counted anew each time, is more than the gate says.
pub(crate) fn waits_while(what: &str) -> String {
    format!(
        "WHILE ({what}) > (SELECT upto FROM public.gate) LOOP PERFORM pg_catalog.pg_sleep(0.02); END LOOP"
    )
}

pub(crate) fn open(cluster: &Cluster, upto: u64) {
    cluster.sql(&format!("UPDATE public.gate SET upto = {upto}"));
}

/// Until a statement waits there.
pub(crate) fn wait_for_one(cluster: &Cluster) {
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("a statement waits at the gate", || {
        cluster.sql(waits) == "t"
    });
}

/// Ends the sessions of gateways that were killed: a statement that waits would go on for nobody.
pub(crate) fn end_sessions(cluster: &Cluster) {
    until("no gateway's session is there", || {
        let sessions = cluster.backends();
        // In order: the server itself goes on.
        sessions.iter().for_each(|pid| signal("-TERM", *pid));
        sessions.is_empty()
    });
}
