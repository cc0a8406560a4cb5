//! People write, apart and together, and end up with the same.

use khlong_document::timeline::limits::Limits;
use khlong_node::api::{Delivery, Request, Response};
use khlong_sync::wire;

use crate::net::{Net, is_append};

/// Two members of one timeline, with everything settled.
pub(crate) fn pair(net: &mut Net) {
    net.at("mali").open_timeline("canal");
    let link = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&link);
    net.settle();
}

#[test]
fn two_nodes_converge_through_a_relay() {
    let mut net = Net::new(1, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "น้ำขึ้นให้รีบตัก");
    net.settle();
    net.at("ton").send("canal", "ตักแล้ว");
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["น้ำขึ้นให้รีบตัก", "ตักแล้ว"]);
    net.assert_converged("canal");
}

#[test]
fn what_both_wrote_apart_is_merged() {
    let mut net = Net::new(2, &["mali", "ton"]);
    pair(&mut net);
    net.cut("mali");
    net.cut("ton");
    for n in 0..5 {
        net.at("mali").send("canal", &format!("mali {n}"));
        net.at("ton").send("canal", &format!("ton {n}"));
        net.run_ms(700);
    }
    assert_eq!(net.at("mali").bodies("canal").len(), 5, "they are apart");
    assert_eq!(net.at("ton").bodies("canal").len(), 5, "they are apart");
    assert!(net.people["mali"].failed_at.len() > 1, "and tried to meet");
    net.heal();
    net.settle();
    assert_eq!(net.at("mali").bodies("canal").len(), 10);
    net.assert_converged("canal");
}

#[test]
fn a_message_goes_from_queued_to_stored_to_delivered_to_read() {
    let mut net = Net::new(3, &["mali", "ton"]);
    pair(&mut net);
    net.cut("mali");
    net.cut("ton");
    net.at("mali").send("canal", "สวัสดี");
    net.run_ms(60_000);
    assert_eq!(net.at("mali").delivery("canal", "สวัสดี"), Delivery::Queued);

    net.heal();
    net.cut("ton");
    net.settle();
    assert_eq!(
        net.at("mali").delivery("canal", "สวัสดี"),
        Delivery::Stored,
        "a relay has signed for it, and nobody else has it"
    );

    net.heal();
    net.settle();
    assert_eq!(
        net.at("mali").delivery("canal", "สวัสดี"),
        Delivery::Delivered
    );
    assert_eq!(net.at("ton").delivery("canal", "สวัสดี"), Delivery::Received);

    net.at("ton").read("canal");
    net.settle();
    assert_eq!(net.at("mali").delivery("canal", "สวัสดี"), Delivery::Read);
    net.crash("mali");
    net.start("mali");
    assert_eq!(
        net.at("mali").delivery("canal", "สวัสดี"),
        Delivery::Read,
        "it is known from the disk alone"
    );
}

#[test]
fn an_open_link_is_good_for_one_who_holds_it() {
    let mut net = Net::new(4, &["mali", "som", "ton"]);
    net.at("mali").open_timeline("canal");
    net.at("mali").send("canal", "before they came");
    let link = net.at("mali").invite("canal", None);
    net.settle();
    net.at("ton").join(&link);
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["before they came"]);
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);

    net.at("som").join(&link);
    net.run_ms(120_000);
    assert_eq!(
        net.at("mali").members("canal"),
        ["mali", "ton"],
        "it was used"
    );
    assert!(net.at("som").timelines()[0].title.is_empty());
    net.at("ton").send("canal", "here I am");
    net.run_ms(10_000);
    net.assert_converged("canal");
}

#[test]
fn a_targeted_link_opens_for_its_user_only() {
    let mut net = Net::new(5, &["mali", "som", "ton"]);
    net.at("mali").open_timeline("canal");
    let card = net.at("ton").card();
    let link = net.at("mali").invite("canal", Some(card));
    net.settle();
    let refusal = net
        .at("som")
        .refusal(Request::TimelineJoin { link: link.clone() });
    assert!(refusal.contains("the invite link"), "{refusal}");
    assert!(net.at("som").timelines().is_empty(), "nothing was begun");
    net.at("ton").join(&link);
    net.settle();
    net.at("ton").send("canal", "thanks for asking me");
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "ton"]);
    net.assert_converged("canal");
}

#[test]
fn who_leaves_is_gone_and_keeps_what_was_said() {
    let mut net = Net::new(6, &["mali", "som", "ton"]);
    net.at("mali").open_timeline("canal");
    let links = [
        net.at("mali").invite("canal", None),
        net.at("mali").invite("canal", None),
    ];
    net.settle();
    net.at("ton").join(&links[0]);
    net.at("som").join(&links[1]);
    net.settle();
    net.at("mali").send("canal", "goodbye then");
    net.settle();

    // Also when it is said without a connection.
    net.cut("ton");
    net.at("ton").leave("canal");
    net.run_ms(5_000);
    assert_eq!(net.at("mali").members("canal"), ["mali", "som", "ton"]);
    net.heal();
    net.settle();
    assert_eq!(net.at("mali").members("canal"), ["mali", "som"]);

    net.at("mali").send("canal", "without you");
    net.settle();
    assert_eq!(net.at("ton").bodies("canal"), ["goodbye then"]);
    net.assert_converged("canal");
    assert_eq!(
        net.at("som").bodies("canal"),
        ["goodbye then", "without you"]
    );
}

#[test]
fn a_late_message_finds_its_old_page() {
    const MESSAGES: usize = 14;
    // An author turns the page after 128 KiB: the last of these stand on a later one.
    const _: () = assert!((MESSAGES - 2) * LONG > Limits::PRODUCTION.page_author_turn_bytes);
    let mut net = Net::new(7, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    net.at("ton").send("canal", "written on the first page");
    for n in 0..MESSAGES {
        net.at("mali").send("canal", &long_text(n));
        net.run_ms(100);
    }
    net.settle();
    net.heal();
    net.settle();
    net.assert_converged("canal");
    let bodies = net.at("mali").bodies("canal");
    assert_eq!(bodies.len(), MESSAGES + 1);
    assert!(
        bodies[..MESSAGES - 1].contains(&"written on the first page".to_owned()),
        "it stands where it was written, before what came on later pages"
    );
    net.crash("mali");
    net.start("mali");
    assert_eq!(net.at("mali").bodies("canal"), bodies);
}

const LONG: usize = 16_000;

/// Text that no compression makes small.
fn long_text(n: usize) -> String {
    let mut bytes = [0; LONG / 2];
    blake3::Hasher::new()
        .update(&n.to_be_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}

#[test]
fn own_messages_are_announced_once() {
    let mut net = Net::new(8, &["mali", "ton"]);
    pair(&mut net);
    net.at("mali").send("canal", "one");
    net.settle();
    assert_eq!(net.at("mali").announced().len(), 1);
    assert_eq!(net.at("ton").announced().len(), 1);
}

/// Every frame that travelled: when, whose, its bytes.
fn frames_of(seed: u64) -> Vec<(u64, &'static str, Vec<u8>)> {
    let mut net = Net::new(seed, &["mali", "ton"]);
    pair(&mut net);
    net.cut("ton");
    net.at("mali").send("canal", "one");
    net.at("ton").send("canal", "two");
    net.run_ms(5_000);
    net.heal();
    net.crash_relay();
    net.run_ms(2_000);
    net.start_relay();
    net.settle();
    net.assert_converged("canal");
    let carried = net.post.carried.iter();
    carried
        .map(|carried| (carried.sent_at, carried.name, wire::encode(&carried.frame)))
        .collect()
}

#[test]
fn equal_seeds_give_equal_bytes_at_equal_times() {
    let (once, again, other) = (frames_of(9), frames_of(9), frames_of(10));
    assert!(once.len() > 50);
    assert_eq!(once, again);
    assert_ne!(once, other);
}

/// A busy timeline is not answered message by message, and what came last is told all the same.
#[test]
fn one_receipt_tells_of_many_messages() {
    let mut net = Net::new(17, &["mali", "ton"]);
    pair(&mut net);
    net.run_ms(1_000);
    let before = net.post.sent("ton", is_append).len();
    for n in 0..50 {
        net.at("mali").send("canal", &format!("number {n}"));
        net.run_ms(10);
    }
    net.run_ms(2_000);
    let receipts = net.post.sent("ton", is_append).len() - before;
    assert!(
        (2..=5).contains(&receipts),
        "{receipts} for 50 messages in 0.5 s"
    );
    for n in [0, 49] {
        let delivery = net.at("mali").delivery("canal", &format!("number {n}"));
        assert_eq!(delivery, Delivery::Delivered, "number {n}");
    }
}

#[test]
fn a_message_is_found_by_the_start_of_its_id_in_a_long_history() {
    let mut net = Net::new(305, &["mali"]);
    net.at("mali").open_timeline("canal");
    for n in 0..1_200 {
        net.at("mali").send("canal", &format!("message {n}"));
    }
    let by = |message: &str| Request::Message {
        timeline: "canal".to_owned(),
        message: message.to_owned(),
    };
    let all = net.at("mali").messages("canal");
    assert_eq!(all.len(), 1_200);
    for wanted in all.iter().step_by(37) {
        let found = net.at("mali").ask(by(&wanted.id[..14]));
        let Response::Messages { messages, .. } = found else {
            unreachable!()
        };
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].body, wanted.body);
    }
    // 1,024 starts for 1,200 messages: two are alike.
    let mut starts: Vec<&str> = all.iter().map(|message| &message.id[..6]).collect();
    starts.sort_unstable();
    let twice = starts.windows(2).find(|pair| pair[0] == pair[1]).unwrap()[0];
    let refusal = net.at("mali").refusal(by(twice));
    assert!(refusal.contains("several messages start with"), "{refusal}");
    for unknown in ["msg_aaaaaaaaaaaa", "msg_00", "tl_aaa", "เรือเรือ"] {
        let refusal = net.at("mali").refusal(by(unknown));
        assert!(refusal.contains("no message is called"), "{refusal}");
    }
}
