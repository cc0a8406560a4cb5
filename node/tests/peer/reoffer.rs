//! A long history for a relay that lost it: a portion at a time, over restarts.

use khlong_crdt::class::Class;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::tables::{outbox, timelines};

use crate::conversation::pair;
use crate::net::Net;

const MESSAGES: usize = 1_500;
/// Two portions, and what a conversation adds by itself.
const OUTBOX_MAX: usize = 600;

fn in_outbox(net: &Net, name: &'static str) -> usize {
    let peer = net.people[name].peer.as_ref().unwrap();
    outbox::list(peer.store()).unwrap().len()
}

/// Envelopes of the texts that the relay has.
fn at_relay(net: &Net) -> u64 {
    let Some(hub) = &net.relay.hub else { return 0 };
    let all = timelines::timelines(hub.store()).unwrap();
    all.first().map_or(0, |timeline| {
        let head = timelines::timeline_head(hub.store(), timeline, Class::Text);
        head.unwrap().envelopes
    })
}

#[test]
fn a_long_history_comes_back_in_portions_and_over_a_restart() {
    let mut net = Net::new(311, &["mali", "ton"]);
    pair(&mut net);
    for n in 0..MESSAGES {
        net.at("mali").send("canal", &n.to_string());
        if n % 100 == 0 {
            net.settle();
        }
    }
    net.settle();
    let before = at_relay(&net);
    assert!(before >= MESSAGES as u64);
    net.crash_relay();
    net.relay.disk = MemoryDisk::new();
    net.start_relay();
    let mut most = 0;
    net.run_until("a part is there again", |net| {
        most = most.max(in_outbox(net, "mali"));
        at_relay(net) >= 400
    });
    assert!(at_relay(&net) < before, "it is only a part");
    net.crash("mali");
    net.start("mali");
    net.at("mali").send("canal", "meanwhile");
    net.run_until("all is there again", |net| {
        most = most.max(in_outbox(net, "mali"));
        at_relay(net) > before
    });
    net.settle();
    assert!(most <= OUTBOX_MAX, "{most} were queued at once");
    assert_eq!(in_outbox(&net, "mali"), 0);
    assert_eq!(net.at("ton").bodies("canal").len(), MESSAGES + 1);
    net.assert_converged("canal");
}
