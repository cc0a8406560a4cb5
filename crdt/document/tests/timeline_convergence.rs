//! Any author set, any delivery order, duplicates and batches: one state hash, one
//! canonical save, one view; also across page turns with offline writers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use automerge::{ReadDoc, ScalarValue, Value};
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::genesis::DocumentKind;
use proptest::prelude::*;
use proptest::sample::Index;
use timeline_room::*;

/// One step of one author.
#[derive(Clone, Debug)]
enum Step {
    Say(u8),
    Edit(Index),
    React(Index, bool),
    Delete(Index),
    Title,
    Nickname,
    Pin(Index),
    /// Picks up some of what lies on the table.
    Read(Vec<Index>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_u8).prop_map(Step::Say),
        1 => any::<Index>().prop_map(Step::Edit),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(index, stands)| Step::React(index, stands)),
        1 => any::<Index>().prop_map(Step::Delete),
        1 => Just(Step::Title),
        1 => Just(Step::Nickname),
        1 => any::<Index>().prop_map(Step::Pin),
        4 => prop::collection::vec(any::<Index>(), 1..8).prop_map(Step::Read),
    ]
}

fn drafts(step: &Step, replica: &Replica, n: usize) -> Vec<Draft> {
    let messages = replica.all();
    let pick = |index: &Index| {
        messages
            .get(index.index(messages.len().max(1)))
            .map(|message| message.id)
    };
    match step {
        Step::Say(count) => (0..*count)
            .map(|part| text(&format!("{n}.{part} สวัสดี")))
            .collect(),
        Step::Edit(index) => pick(index)
            .map(|target| Draft::Edit {
                target,
                body: format!("edited {n}"),
            })
            .into_iter()
            .collect(),
        Step::React(index, true) => pick(index)
            .map(|target| Draft::React {
                target,
                emoji: "👍".into(),
            })
            .into_iter()
            .collect(),
        Step::React(index, false) => pick(index)
            .map(|target| Draft::Unreact {
                target,
                emoji: "👍".into(),
            })
            .into_iter()
            .collect(),
        Step::Delete(index) => pick(index)
            .map(|target| Draft::Delete { target })
            .into_iter()
            .collect(),
        Step::Title => vec![Draft::Title(format!("title {n}"))],
        Step::Nickname => vec![Draft::Nickname(format!("มะลิ {n}")), Draft::Leave],
        Step::Pin(index) => pick(index)
            .map(|target| Draft::Pin {
                target,
                pinned: n.is_multiple_of(2),
            })
            .into_iter()
            .collect(),
        Step::Read(_) => Vec::new(),
    }
}

/// What the authors wrote, and a replica that read it all in the order of writing.
fn play(authors: u8, script: &[(Index, Step)]) -> (Vec<Letter>, Replica) {
    let mut replicas: Vec<_> = (0..authors).map(Replica::new).collect();
    let mut table: Vec<Letter> = Vec::new();
    for (n, (who, step)) in script.iter().enumerate() {
        let replica = &mut replicas[who.index(usize::from(authors))];
        if let Step::Read(indices) = step {
            for index in indices.iter().filter(|_| !table.is_empty()) {
                replica.read(&table[index.index(table.len())].clone());
            }
        }
        let drafts = drafts(step, replica, n);
        if !drafts.is_empty() {
            table.push(replica.write(&drafts));
        }
    }
    let mut reader = Replica::new(99);
    for letter in &table {
        reader.read(letter);
    }
    for replica in &mut replicas {
        for letter in &table {
            replica.read(letter);
        }
        assert_equal(replica, &reader);
    }
    (table, reader)
}

/// The order that Automerge itself shows, as bodies of the messages' own entries.
fn bodies_by_automerge(replica: &Replica) -> Vec<String> {
    let mut bodies = Vec::new();
    for (address, document) in replica.pages.documents().unwrap() {
        if address.kind != DocumentKind::Page {
            continue;
        }
        let (_, list) = document.get(automerge::ROOT, "messages").unwrap().unwrap();
        for place in 0..document.length(&list) {
            let (_, map) = document.get(&list, place).unwrap().unwrap();
            if let Some((Value::Scalar(value), _)) = document.get(&map, "b").unwrap()
                && let ScalarValue::Str(body) = value.as_ref()
            {
                bodies.push(body.to_string());
            }
        }
    }
    bodies
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_converge_in_any_order(
        authors in 2..=5_u8,
        script in prop::collection::vec((any::<Index>(), step()), 8..48),
        order in prop::collection::vec(any::<Index>(), 64),
        batch in 1..6_usize,
    ) {
        let (table, in_order) = play(authors, &script);
        let mut shuffled = table.clone();
        for (place, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(place, other);
        }
        // Duplicates: some letters come twice, in other batches.
        shuffled.extend(table.iter().step_by(3).cloned());

        let mut one_by_one = Replica::new(100);
        for letter in shuffled.iter().rev() {
            one_by_one.read(letter);
        }
        assert_equal(&one_by_one, &in_order);

        let mut batched = Replica::new(101);
        for letters in shuffled.chunks(batch) {
            batched.pages.merge_all(letters.iter().flat_map(|(author, sections)| sections.iter().map(|section| (*author, section))));
        }
        assert_equal(&batched, &in_order);
    }

    #[test]
    fn the_order_is_automerges(authors in 2..=5_u8, script in prop::collection::vec((any::<Index>(), step()), 8..40)) {
        // Nothing is edited or deleted, so that bodies tell messages apart.
        let only_new: Vec<_> = script.into_iter().filter(|(_, step)| matches!(step, Step::Say(_) | Step::Read(_))).collect();
        let (_, replica) = play(authors, &only_new);
        prop_assert_eq!(replica.bodies(), bodies_by_automerge(&replica));
    }
}

#[test]
fn two_offline_writers_turn_the_page_and_agree() {
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let mut table = Vec::new();
    for n in 0..10 {
        table.push(mali.write(&[text(&format!("mali {n}"))]));
        table.push(somchai.write(&[text(&format!("somchai {n}"))]));
    }
    assert_eq!(mali.pages.page_count(), 3, "pages turn after four messages");
    for letter in table.iter().rev() {
        mali.read(letter);
        somchai.read(letter);
    }
    assert_equal(&mali, &somchai);
    assert_eq!(mali.pages.message_count(), 20);
    // By page first: the fifth message of either writer comes after the fourth of both.
    let bodies = mali.bodies();
    let place = |body: &str| bodies.iter().position(|found| found == body).unwrap();
    for n in 0..4 {
        assert!(
            place(&format!("mali {n}")) < place("somchai 4")
                && place(&format!("somchai {n}")) < place("mali 4")
        );
    }
    // Both saw the same newest page, so the next message goes on from there.
    let next = mali.write(&[text("after")]);
    assert_eq!(next.1[0].n, 3, "page 2 holds two of each");
}

#[test]
fn a_late_message_still_lands_in_an_old_page() {
    let (mut mali, mut late) = (Replica::new(0), Replica::new(1));
    let letter = late.write(&[text("from the ferry")]);
    // Enough pages that the first one is packed away.
    for n in 0..40 {
        mali.write(&[text(&format!("{n}"))]);
    }
    assert_eq!(mali.pages.page_count(), 10);
    mali.read(&letter);
    let messages = mali.all();
    let found = messages
        .iter()
        .position(|message| message.body == "from the ferry")
        .unwrap();
    assert!(found <= 4, "it stands in page 0, not at the end: {found}");
    assert_eq!(messages.len(), 41);
    let id = messages[found].id;
    // Reactions go to the page of their target.
    let reaction = mali.write(&[Draft::React {
        target: id,
        emoji: "⛴️".into(),
    }]);
    assert_eq!((reaction.1[0].n, reaction.1[0].document), (0, 0));
    assert!(mali.message(&id).reactions.contains_key("⛴️"));
}

#[test]
fn a_range_of_messages_is_a_part_of_the_whole() {
    let mut mali = Replica::new(0);
    for n in 0..30 {
        mali.write(&[text(&format!("{n}"))]);
    }
    let all = mali.all();
    for (from, to) in [
        (0, 1),
        (3, 5),
        (0, 30),
        (17, 29),
        (29, 30),
        (30, 40),
        (5, 5),
    ] {
        let part = mali.pages.messages(from..to, &principal_of);
        assert_eq!(part, all[from.min(30)..to.min(30)], "{from}..{to}");
    }
}
