//! Messages, edits, reactions, replies, deletes and the state document.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use std::collections::BTreeSet;

use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{EpochId, MessageId, RelayKey};
use khlong_document::timeline::carriers::Carrier;
use khlong_document::timeline::draft::{Draft, DraftError};
use khlong_document::timeline::limits::{
    EMOJI_BYTES_MAX, Limits, MESSAGE_BODY_BYTES_MAX, NICKNAME_BYTES_MAX, TITLE_BYTES_MAX,
};
use khlong_document::timeline::message::Origin;
use khlong_document::timeline::pages::PagesEvent;
use khlong_document::timeline::pages::writing::ComposeError;
use timeline_room::*;

fn exchange(left: &mut Replica, right: &mut Replica, letters: &[Letter]) {
    for letter in letters {
        left.read(letter);
        right.read(letter);
    }
    assert_equal(left, right);
}

#[test]
fn the_authors_last_edit_counts_and_others_do_not() {
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let said = mali.write(&[text("helo")]);
    let target = mali.newest();
    somchai.read(&said);
    let right = mali.write(&[Draft::Edit {
        target,
        body: "hello".into(),
    }]);
    let wrong = somchai.write(&[
        Draft::Edit {
            target,
            body: "I owe Somchai 500 baht".into(),
        },
        Draft::Delete { target },
    ]);
    exchange(&mut mali, &mut somchai, &[said, wrong, right]);
    let message = somchai.message(&target);
    assert_eq!(
        (message.body.as_str(), message.edits, message.deleted),
        ("hello", 1, false)
    );
    assert_eq!(message.edited_at, Some(NOW));
    let again = mali.write(&[Draft::Edit {
        target,
        body: "hello!".into(),
    }]);
    exchange(&mut mali, &mut somchai, &[again]);
    assert_eq!(somchai.message(&target).body, "hello!");
}

#[test]
fn a_delete_wins_over_a_concurrent_edit_and_keeps_the_place() {
    let mut mali = Replica::new(0);
    let first = mali.write(&[text("one"), text("two")]);
    let target = mali.all()[0].id;
    mali.write(&[Draft::Delete { target }]);
    mali.write(&[Draft::Edit {
        target,
        body: "back again".into(),
    }]);
    let message = mali.message(&target);
    assert!(message.deleted);
    assert_eq!(message.body, "", "deleted text is not shown");
    assert_eq!(mali.pages.message_count(), 2);
    assert_eq!(first.1.len(), 1, "one envelope, one section, one change");
    assert_eq!(first.1[0].changes.len(), 1);
}

#[test]
fn reactions_are_sets_of_members_and_can_be_taken_back() {
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let said = mali.write(&[text("ข้าวเหนียวมะม่วง")]);
    let target = mali.newest();
    somchai.read(&said);
    let like = |target| Draft::React {
        target,
        emoji: "🥭".into(),
    };
    let letters = [
        mali.write(&[like(target), like(target)]),
        somchai.write(&[like(target)]),
    ];
    exchange(&mut mali, &mut somchai, &letters);
    assert_eq!(
        mali.message(&target).reactions["🥭"],
        BTreeSet::from([principal(0), principal(1)])
    );
    let back = mali.write(&[Draft::Unreact {
        target,
        emoji: "🥭".into(),
    }]);
    exchange(&mut mali, &mut somchai, &[back]);
    assert_eq!(
        somchai.message(&target).reactions["🥭"],
        BTreeSet::from([principal(1)])
    );
    let again = mali.write(&[like(target)]);
    exchange(&mut mali, &mut somchai, &[again]);
    assert_eq!(somchai.message(&target).reactions["🥭"].len(), 2);
}

#[test]
fn replies_and_origins_are_kept() {
    let mut mali = Replica::new(0);
    mali.write(&[text("question")]);
    let asked = mali.newest();
    let origin = Origin {
        network: "line".into(),
        sender: "คุณมะลิ".into(),
    };
    mali.write(&[Draft::Message {
        body: "answer\u{7}".into(),
        reply_to: Some(asked),
        attachments: Vec::new(),
        origin: Some(origin.clone()),
        import_key: None,
        sent_at: NOW,
    }]);
    let message = mali.message(&mali.newest());
    assert_eq!(
        (message.reply_to, message.origin),
        (Some(asked), Some(origin))
    );
    assert_eq!(message.body, "answer\u{7}", "control characters are data");
}

#[test]
fn an_import_on_two_devices_adds_nothing() {
    let import = |n: u8| Draft::Message {
        body: format!("line {n}"),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: Some([n; 16]),
        sent_at: NOW,
    };
    let file: Vec<_> = (0..10).map(import).collect();
    let (mut phone, mut laptop) = (Replica::new(0), Replica::new(1));
    let mut letters = vec![laptop.write(&[
        text("something else first"),
        text("and more"),
        text("and more"),
    ])];
    letters.push(phone.write(&file));
    letters.push(laptop.write(&file));
    letters.push(laptop.write(&file));
    exchange(&mut phone, &mut laptop, &letters);
    assert_eq!(phone.pages.message_count(), 13);
    let bodies = phone.bodies();
    assert_eq!(bodies.len(), 13);
    assert_eq!(
        bodies
            .iter()
            .filter(|body| body.starts_with("line"))
            .collect::<BTreeSet<_>>()
            .len(),
        10
    );
    let ids: BTreeSet<MessageId> = phone.all().iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 13);
}

#[test]
fn the_state_document_shows_title_roster_and_pins() {
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let mut letters = vec![mali.write(&[
        text("pin me"),
        Draft::Title("ตลาด".into()),
        Draft::Nickname("มะลิ".into()),
    ])];
    let target = mali.all()[0].id;
    somchai.read(&letters[0]);
    letters.push(somchai.write(&[
        Draft::Title("Market".into()),
        Draft::Nickname("Som\u{1b}[31m".into()),
        Draft::Pin {
            target,
            pinned: true,
        },
        Draft::Leave,
    ]));
    exchange(&mut mali, &mut somchai, &letters);
    let state = mali.pages.state(&principal_of);
    assert_eq!(
        state.title.as_deref(),
        Some("Market"),
        "it was set with the other in sight"
    );
    assert_eq!(state.pins, BTreeSet::from([target]));
    let names: Vec<_> = state
        .roster
        .iter()
        .map(|member| (member.principal, member.nickname.as_deref(), member.left))
        .collect();
    assert_eq!(
        names,
        [
            (principal(0), Some("มะลิ"), false),
            (principal(1), Some("Som\u{1b}[31m"), true)
        ]
    );
    let unpin = mali.write(&[Draft::Pin {
        target,
        pinned: false,
    }]);
    exchange(&mut mali, &mut somchai, &[unpin]);
    assert!(somchai.pages.state(&principal_of).pins.is_empty());
}

#[test]
fn of_each_relay_counts_what_an_admin_said_last() {
    let relay =
        |n: u8, host: &str| RelayAddress::new(RelayKey::from_bytes([n; 32]), host, 4_747).unwrap();
    let said = |relay: &RelayAddress, is_removed| Draft::Relay {
        relay: relay.clone(),
        is_removed,
    };
    let (mut mali, mut somchai) = (Replica::new(0), Replica::new(1));
    let (first, second) = (relay(1, "a.test"), relay(2, "b.test"));
    let mut letters = vec![mali.write(&[
        Draft::Title("ตลาด".into()),
        said(&first, false),
        said(&second, false),
        said(&first, true),
    ])];
    somchai.read(&letters[0]);
    // Later, and by somebody who may not.
    letters.push(somchai.write(&[said(&first, false), said(&second, true)]));
    exchange(&mut mali, &mut somchai, &letters);
    let of_admins = |replica: &Replica| {
        let carriers = replica.pages.carriers(&|author| *author == mali.author);
        let shown = |it: Carrier| (it.relay.host, it.is_removed, it.author);
        carriers.into_iter().map(shown).collect::<Vec<_>>()
    };
    let author = mali.author;
    let expected = [
        ("b.test".to_owned(), false, author),
        ("a.test".to_owned(), true, author),
    ];
    assert_eq!(of_admins(&somchai), expected);
    // Whoever knows nothing of relays sees a title as before, and one address is no other.
    assert_eq!(
        mali.pages.state(&principal_of).title.as_deref(),
        Some("ตลาด")
    );
    let moved = relay(2, "c.test");
    let letter = mali.write(&[said(&moved, false)]);
    somchai.read(&letter);
    let carriers = somchai.pages.carriers(&|author| *author == mali.author);
    assert_eq!(carriers.last().map(|it| &it.relay), Some(&moved));
    assert_eq!(carriers.len(), 2);
    // Each was taken away by somebody: the one that was taken away last stays.
    let letter = mali.write(&[said(&moved, true)]);
    somchai.read(&letter);
    let carriers = somchai.pages.carriers(&|author| *author == mali.author);
    let removed: Vec<_> = carriers.iter().map(|it| it.is_removed).collect();
    assert_eq!(removed, [true, false]);
    assert_eq!(carriers.last().map(|it| &it.relay), Some(&moved));
}

#[test]
fn texts_that_do_not_fit_are_refused_before_anything_is_written() {
    let mut mali = Replica::with(0, Limits::PRODUCTION);
    mali.write(&[text("here")]);
    let target = mali.newest();
    let author = mali.author;
    let mut compose = |draft| mali.pages.compose(&author, EpochId::ZERO, &[draft], NOW);
    let long = |max: usize| "a".repeat(max + 1);
    let too_long = |max| {
        ComposeError::Draft(DraftError::TooLong {
            bytes: max + 1,
            max,
        })
    };
    assert_eq!(
        compose(text(&long(MESSAGE_BODY_BYTES_MAX))),
        Err(too_long(MESSAGE_BODY_BYTES_MAX))
    );
    assert_eq!(
        compose(Draft::Nickname(long(NICKNAME_BYTES_MAX))),
        Err(too_long(NICKNAME_BYTES_MAX))
    );
    assert_eq!(
        compose(Draft::Title(long(TITLE_BYTES_MAX))),
        Err(too_long(TITLE_BYTES_MAX))
    );
    assert_eq!(
        compose(Draft::React {
            target,
            emoji: long(EMOJI_BYTES_MAX)
        }),
        Err(too_long(EMOJI_BYTES_MAX))
    );
    assert_eq!(
        compose(Draft::React {
            target,
            emoji: String::new()
        }),
        Err(ComposeError::Draft(DraftError::Empty))
    );
    let unknown = MessageId::from_bytes([9; 16]);
    assert_eq!(
        compose(Draft::Delete { target: unknown }),
        Err(ComposeError::UnknownMessage(unknown))
    );
    assert!(compose(text(&"a".repeat(MESSAGE_BODY_BYTES_MAX))).is_ok());
}

#[test]
fn an_author_turns_the_page_before_its_budget_is_spent() {
    let mut mali = Replica::with(
        0,
        Limits {
            page_messages: 1_000,
            ..SMALL
        },
    );
    let mut reader = Replica::with(
        1,
        Limits {
            page_messages: 1_000,
            ..SMALL
        },
    );
    for n in 0..20 {
        let letter = mali.write(&[text(&format!("{n} {}", "x".repeat(2_000)))]);
        let events = reader.read(&letter);
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, PagesEvent::Refused { .. })),
            "{events:?}"
        );
    }
    assert!(
        mali.pages.page_count() >= 4,
        "8 KiB of 2,000-byte messages fill a page"
    );
    assert_equal(&mali, &reader);
}
