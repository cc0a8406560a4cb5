//! Muting and blocking are between a node and its user: nothing of them leaves the node.

use khlong_node::api::{Delivery, MessageView, Request, Response};
use khlong_store::tables::{blocked, outbox};

use crate::conversation::pair;
use crate::net::Net;

fn block(net: &mut Net, author: &str) {
    let (author, timeline) = (author.to_owned(), None);
    net.at("mali").ask(Request::Block { author, timeline });
}

fn mute(net: &mut Net) {
    net.at("mali").ask(Request::TimelineMute {
        timeline: "canal".to_owned(),
        muted: true,
    });
}

fn shown(net: &mut Net) -> Vec<String> {
    let messages = net.at("mali").messages("canal").into_iter();
    let shown = messages.filter(|message: &MessageView| !message.blocked);
    shown.map(|message| message.body).collect()
}

fn queued(net: &Net) -> usize {
    let store = net.people["mali"].peer.as_ref().unwrap().store();
    outbox::list(&store.batch()).unwrap().len()
}

#[test]
fn nobody_can_tell_that_they_are_blocked_or_muted() {
    let mut net = Net::new(81, &["mali", "ton"]);
    pair(&mut net);
    net.at("ton").send("canal", "before");
    net.settle();
    net.cut("mali");
    let before = queued(&net);
    block(&mut net, "ton");
    mute(&mut net);
    assert_eq!(queued(&net), before, "nothing was written for others");
    net.heal();
    net.at("ton").send("canal", "after");
    net.settle();
    net.assert_converged("canal");
    assert_eq!(
        net.at("ton").delivery("canal", "after"),
        Delivery::Delivered,
        "it is acknowledged as ever"
    );
    net.at("mali").read("canal");
    net.settle();
    assert_eq!(net.at("ton").delivery("canal", "after"), Delivery::Read);
    assert_eq!(shown(&mut net), Vec::<String>::new());
    assert!(net.at("ton").timelines().iter().all(|view| !view.muted));
}

#[test]
fn blocks_outlive_a_crash_and_end_when_they_are_told_to() {
    let mut net = Net::new(82, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "mine");
    net.at("ton").send("canal", "ton's");
    net.settle();
    block(&mut net, "ton");
    mute(&mut net);
    let store = net.people["mali"].peer.as_ref().unwrap().store();
    assert_eq!(blocked::list(&store.batch()).unwrap().len(), 1);
    net.crash("mali");
    net.start("mali");
    assert_eq!(shown(&mut net), ["mine"]);
    let view = net.at("mali").timelines().remove(0);
    assert_eq!((view.muted, view.blocked, view.unread), (true, 1, 0));
    let told = net.at("mali").ask(Request::Unblock {
        author: "ton".to_owned(),
        timeline: Some("canal".to_owned()),
    });
    assert_eq!(told, Response::Blocked { members: vec![] });
    assert_eq!(shown(&mut net).len(), 2, "nothing was lost");
    net.crash("mali");
    net.start("mali");
    assert_eq!(shown(&mut net).len(), 2);
}

#[test]
fn a_member_is_named_without_doubt_or_not_at_all() {
    let mut net = Net::new(83, &["mali", "ton"]);
    pair(&mut net);
    let ask = |author: &str, timeline: Option<&str>| Request::Block {
        author: author.to_owned(),
        timeline: timeline.map(str::to_owned),
    };
    let mut mali = net.at("mali");
    assert!(mali.refusal(ask("mali", None)).contains("that is you"));
    assert!(mali.refusal(ask("som", None)).contains("no member"));
    let elsewhere = mali.refusal(ask("ton", Some("market")));
    assert!(elsewhere.contains("no timeline"), "{elsewhere}");
    // Whoever takes another's name is told apart by the key.
    net.at("ton").ask(Request::Nickname {
        nickname: "mali".to_owned(),
    });
    net.settle();
    let told = net.at("mali").ask(ask("mali", None));
    let Response::Blocked { members } = told else {
        panic!("{told:?}")
    };
    assert!(members[0].author.starts_with("mali (prn_"), "{members:?}");
    net.at("ton").send("canal", "I am mali");
    net.at("mali").send("canal", "no, I am");
    net.settle();
    assert_eq!(shown(&mut net), ["no, I am"], "and never oneself");
}
