//! Links that come too early, are used up, or lead back to what was left; and
//! members who may only read.

use khlong_node::api::{Delivery, Request, Response};

use crate::conversation::pair;
use crate::net::{Net, is_append};

/// A link for one who may read and not write.
fn invite_reader(net: &mut Net) -> String {
    let invite = Request::TimelineInvite {
        timeline: "canal".to_owned(),
        to: None,
        read_only: true,
        expires_in_s: 0,
    };
    match net.at("mali").ask(invite) {
        Response::Invite { link, .. } => link,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_tells_what_it_has_and_read_and_writes_nothing() {
    let mut net = Net::new(81, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    let link = invite_reader(&mut net);
    net.settle();
    net.at("ton").join(&link);
    net.settle();
    net.at("mali").send("canal", "for readers");
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["for readers"]);
    assert_eq!(
        net.at("mali").delivery("canal", "for readers"),
        Delivery::Delivered
    );
    net.at("ton").read("canal");
    net.settle();
    assert_eq!(
        net.at("mali").delivery("canal", "for readers"),
        Delivery::Read
    );

    let told = net.at("ton").try_send("canal", "may I?").unwrap();
    let Response::Refused { message, exit_code } = told else {
        panic!("{told:?}")
    };
    assert_eq!(exit_code, 4, "{message}");
    assert!(message.contains("may read"), "{message}");
    net.settle();
    assert!(net.people["ton"].failures.is_empty());
    net.assert_converged("canal");
    net.at("ton").leave("canal");
    assert!(!net.at("ton").timelines()[0].followed);
}

/// The inviter is offline: the relay has the grant later than the joiner's handover.
fn joins_early(knows_timeline: bool) {
    let mut net = Net::new(82, &["mali", "ton"]);
    if !knows_timeline {
        net.cut("mali");
    }
    net.at("mali").open_timeline("canal");
    net.run_ms(5_000);
    net.cut("mali");
    let link = net.at("mali").invite("canal", None);
    net.at("ton").join(&link);
    net.run_ms(600_000);
    let attempts = net.post.sent("ton", is_append).len();
    assert!(
        (4..20).contains(&attempts),
        "{attempts}: it asks, and ever less"
    );
    let Response::Outbox { entries } = net.at("ton").ask(Request::OutboxLs) else {
        panic!("no outbox")
    };
    assert!(
        entries
            .iter()
            .all(|entry| entry.refused.is_none() && entry.put_off.is_some()),
        "{entries:?}"
    );
    net.heal();
    net.run_ms(301_000);
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);
    net.at("ton").send("canal", "at last");
    net.settle();
    net.assert_converged("canal");
}

#[test]
fn a_link_that_is_used_before_its_grant_is_stored_works_later() {
    joins_early(true);
}

#[test]
fn a_link_that_is_used_before_its_timeline_is_stored_works_later() {
    joins_early(false);
}

#[test]
fn a_link_that_has_expired_leaves_nothing_once_the_relay_said_so() {
    let mut net = Net::new(85, &["mali", "ton"]);
    net.at("mali").open_timeline("canal");
    let invite = Request::TimelineInvite {
        timeline: "canal".to_owned(),
        to: None,
        read_only: false,
        expires_in_s: 10,
    };
    let Response::Invite { link, .. } = net.at("mali").ask(invite) else {
        panic!("no link")
    };
    net.settle();
    net.run_ms(20_000);
    net.cut("ton");
    net.at("ton").join(&link);
    net.run_ms(5_000);
    let timeline = net.at("ton").timelines()[0].id.clone();
    let end = || Request::TimelineJoinEnd {
        timeline: timeline.clone(),
    };
    let unjudged = net.at("ton").ask(end());
    assert!(
        matches!(unjudged, Response::Timeline { .. }),
        "no relay was reached: {unjudged:?}"
    );
    net.heal();
    net.run_ms(15_000);
    let ended = net.at("ton").ask(end());
    let Response::NotLetIn { code, .. } = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(code, 8, "NotAdmitted");
    assert!(net.at("ton").timelines().is_empty());
    net.crash("ton");
    net.start("ton");
    net.settle();
    assert!(
        net.at("ton").timelines().is_empty(),
        "it is forgotten on the disk too"
    );
    assert_eq!(net.at("mali").members("canal"), ["mali"]);

    let fresh = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&fresh);
    net.settle();
    net.assert_converged("canal");
    assert_eq!(
        net.at("ton").timelines()[0].parked,
        0,
        "nothing waits for ever"
    );
    net.crash("ton");
    net.start("ton");
    net.settle();
    assert_eq!(net.at("ton").timelines()[0].parked, 0);
}

#[test]
fn after_a_used_link_a_fresh_one_helps() {
    let mut net = Net::new(83, &["mali", "som", "ton"]);
    net.at("mali").open_timeline("canal");
    let used = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&used);
    net.settle();
    net.at("som").join(&used);
    net.run_ms(30_000);
    assert!(net.at("som").timelines()[0].title.is_empty());
    net.at("som").join(&used);
    net.run_ms(30_000);
    assert_eq!(net.at("som").timelines().len(), 1, "again changes nothing");

    let fresh = net.at("mali").invite("canal", None);
    net.run_ms(10_000);
    net.at("som").join(&fresh);
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "som", "ton"]);
    for name in ["mali", "som", "ton"] {
        net.at(name).send("canal", &format!("here is {name}"));
        net.settle();
    }
    net.assert_converged("canal");
    assert_eq!(
        net.at("som").timelines()[0].parked,
        0,
        "nothing waits for ever"
    );
    // What the used link left behind must not count after a start either.
    net.crash("som");
    net.start("som");
    net.settle();
    assert_eq!(net.at("som").timelines()[0].parked, 0);
    assert_eq!(net.at("som").members("canal"), ["mali", "som", "ton"]);
    net.assert_converged("canal");
}

#[test]
fn who_left_comes_back_by_a_link_and_has_everything() {
    let mut net = Net::new(84, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "before");
    net.settle();
    net.at("ton").send("canal", "I go");
    net.settle();
    net.at("ton").leave("canal");
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali"]);
    net.at("mali").send("canal", "meanwhile");
    net.settle();
    assert_eq!(net.at("ton").bodies("canal").len(), 2);
    let link = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&link);
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);
    net.at("ton").send("canal", "back again");
    net.settle();
    let bodies = ["before", "I go", "meanwhile", "back again"];
    assert_eq!(net.at("ton").bodies("canal"), bodies);
    assert!(
        net.at("ton").messages("canal")[1].mine,
        "it is the same member"
    );
    net.people.get_mut("ton").unwrap().has_left = false;
    net.assert_converged("canal");
    let why = net.at("ton").refusal(Request::TimelineJoin { link });
    assert!(why.contains("already"), "{why}");
}
