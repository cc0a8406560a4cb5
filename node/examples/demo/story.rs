//! What happens, in order, and what is checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use khlong_node::api::{Delivery, Request, Response, TimelineView};
use khlong_node::import::{parse_line, read_export};

use crate::processes::Failure;
use crate::processes::{Relay, Running};
use crate::replay::{self, Line, Watch, Wrote};
use crate::report::{bytes, good, milliseconds, spread, step, table};
use crate::search;
use crate::world::Person;

const CONVERSATION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/testdata/demo/conversation-th-en.txt"
);
const TITLE: &str = "แผงริมคลอง";
const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    relay: Relay,
    people: Vec<Person>,
    timeline: String,
    lines: Vec<Line>,
    wrote: Vec<Wrote>,
}

pub(crate) async fn tell(binaries: &Path, folder: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    step("A relay and three nodes start, each a process of its own");
    let relay = Relay::create(binaries, folder, &[])?;
    let running = relay.start()?;
    good(&format!("relay {}", relay.address));
    let mut people = Vec::new();
    for (name, nickname) in [("mali", "มะลิ"), ("ton", "ต้น"), ("somchai", "Somchai")]
    {
        people.push(Person::create(binaries, folder, name, nickname, &relay.address).await?);
        good(&format!("node of {nickname}"));
    }
    let lines = conversation()?;
    let mut scene = Scene {
        relay,
        people,
        timeline: String::new(),
        lines,
        wrote: Vec::new(),
    };
    open(&mut scene).await?;
    let (running, online) = talk(&mut scene, running).await?;
    let wire = scene.relay_bytes()?;
    compare(&scene).await?;
    running.stop()?;
    look_for_plaintext(&scene, folder)?;
    summary(&scene, &online, wire);
    by_hand(&scene);
    println!(
        "\nAll of it in {} s: {} holds what they wrote, and their logs.",
        begun.elapsed().as_secs(),
        folder.display()
    );
    Ok(())
}

fn conversation() -> Result<Vec<Line>, Failure> {
    let parsed = parse_line(CONVERSATION, &read_export(Path::new(CONVERSATION))?)?;
    Ok(parsed
        .messages
        .into_iter()
        .map(|message| Line {
            sender: message.sender,
            body: message.body,
        })
        .collect())
}

/// A group by invite, and one message through its first states.
async fn open(scene: &mut Scene) -> Result<(), Failure> {
    step("มะลิ opens a group and writes; nobody else is there yet");
    let [mali, ton, somchai] = scene.people.as_slice() else {
        return Err("three people were expected".into());
    };
    let opened = mali.khlong(&["timeline", "new", TITLE, "--wait", "stored"])?;
    let timeline = text(&opened, &["timeline", "id"])?;
    let first = scene
        .lines
        .first()
        .ok_or("the conversation is empty")?
        .clone();
    let sent = mali.khlong(&["send", &timeline, &first.body, "--wait", "stored"])?;
    let message = text(&sent, &["id"])?;
    if text(&sent, &["delivery"])? != "stored" {
        return Err(format!(
            "the first message should be stored and is {}",
            text(&sent, &["delivery"])?
        )
        .into());
    }
    good(
        "stored: the relay has it on disk and signed so; a control: it is not delivered, as nobody else is there",
    );

    step("ต้น and Somchai join, each by an invite link that works once");
    for person in [ton, somchai] {
        let invited = mali.khlong(&["timeline", "invite", &timeline, "--wait", "stored"])?;
        person.khlong(&[
            "timeline",
            "join",
            &text(&invited, &["link"])?,
            "--wait",
            "stored",
        ])?;
        reach(person, &timeline, "has the history", |view| {
            view.messages == 1
        })
        .await?;
        good(&format!(
            "{} has joined and reads what was written before",
            person.nickname
        ));
    }
    delivered(mali, &timeline, &message, Delivery::Delivered).await?;
    good("delivered: another member's node has it and says so, encrypted");
    ton.khlong(&["read", &timeline])?;
    delivered(mali, &timeline, &message, Delivery::Read).await?;
    good("read: ต้น has read it");
    scene.lines.remove(0);
    scene.timeline = timeline;
    Ok(())
}

/// What the middle of the story measured.
struct Online {
    /// From writing until the last node had it, before the relay was killed.
    live: Vec<Duration>,
    /// From the relay's return until everybody had everything.
    recovery: Duration,
    offline: usize,
}

/// Everybody writes; the relay dies in the middle and comes back.
async fn talk(scene: &mut Scene, running: Running) -> Result<(Running, Online), Failure> {
    step(&format!(
        "All three write at once: {} messages; the relay is killed in the middle",
        scene.lines.len()
    ));
    let (first, second) = scene.lines.split_at(scene.lines.len() / 2);
    let mut watch = Watch::start(&scene.people).await?;
    let kill = async {
        watch.seen(0, first.len() / 2, PATIENCE).await?;
        running.kill()?;
        Ok::<Instant, Failure>(Instant::now())
    };
    let (wrote, killed) = tokio::join!(replay::write(&scene.people, &scene.timeline, first), kill);
    let (mut wrote, killed) = (wrote?, killed?);
    good("SIGKILL: the relay is gone without a goodbye");

    let [mali, ton, _] = scene.people.as_slice() else {
        return Err("three people were expected".into());
    };
    let pair: Vec<Line> = second
        .iter()
        .filter(|line| [&mali.nickname, &ton.nickname].contains(&&line.sender))
        .cloned()
        .collect();
    let rest: Vec<Line> = second
        .iter()
        .filter(|line| line.sender != mali.nickname && line.sender != ton.nickname)
        .cloned()
        .collect();
    let offline = replay::write(&scene.people, &scene.timeline, &pair).await?;
    if !offline
        .iter()
        .all(|wrote| wrote.delivery == Delivery::Queued)
    {
        return Err("a message written without a relay claims to be more than queued".into());
    }
    let without_relay = wrote.iter().filter(|wrote| wrote.at > killed).count() + offline.len();
    good(&format!(
        "queued: {without_relay} messages are written offline and readable at once on their own nodes"
    ));
    wrote.extend(offline);

    step("The relay comes back and Somchai goes on");
    let returned = Instant::now();
    let running = scene.relay.start()?;
    wrote.extend(replay::write(&scene.people, &scene.timeline, &rest).await?);
    let all = wrote.len() + 1;
    for person in &scene.people {
        reach(person, &scene.timeline, "has everything", |view| {
            view.messages == all && view.queued == 0
        })
        .await?;
    }
    let recovery = returned.elapsed();
    for number in 0..scene.people.len() {
        watch.seen(number, wrote.len(), PATIENCE).await?;
    }
    good(&format!(
        "everybody has all {all} messages {} after the restart",
        milliseconds(recovery)
    ));
    let before_the_crash = |_: Instant, arrived: Instant| arrived < killed;
    let live = watch.finish(&wrote, scene.people.len(), before_the_crash);
    scene.wrote = wrote;
    Ok((
        running,
        Online {
            live,
            recovery,
            offline: without_relay,
        },
    ))
}

/// Equal replicas, nothing lost, nothing twice.
async fn compare(scene: &Scene) -> Result<(), Failure> {
    step("The three replicas are compared");
    let mut digests = BTreeSet::new();
    for person in &scene.people {
        let digest = person.khlong(&["export", &scene.timeline, "--digest"])?;
        digests.insert((
            text(&digest, &["state_hash"])?,
            text(&digest, &["canonical_hash"])?,
        ));
    }
    let mut digests = digests.into_iter();
    let (Some((state, canonical)), None) = (digests.next(), digests.next()) else {
        return Err("the replicas differ".into());
    };
    good(&format!("one state hash       {state}"));
    good(&format!("one canonical save   {canonical}"));
    let written: BTreeSet<&str> = scene
        .wrote
        .iter()
        .map(|wrote| wrote.message.as_str())
        .collect();
    for person in &scene.people {
        let mut client = person.client().await?;
        let request = Request::Log {
            timeline: scene.timeline.clone(),
            from: Some(1),
            limit: Some(written.len() + 1),
        };
        let Response::Messages { messages, .. } = client.request(&request).await? else {
            return Err("the node does not show its history".into());
        };
        let shown: BTreeSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        if shown != written || messages.len() != written.len() {
            return Err(
                format!("{} does not have exactly what was written", person.nickname).into(),
            );
        }
    }
    good("every acknowledged message is there, none twice");
    Ok(())
}

/// The relay stores everything and can read nothing.
fn look_for_plaintext(scene: &Scene, folder: &Path) -> Result<(), Failure> {
    step("The relay's folder is searched for what was written");
    let bodies = scene.lines.iter().map(|line| line.body.as_str());
    let names = scene.people.iter().map(|person| person.nickname.as_str());
    let needles = search::needles(bodies.chain(names).chain([TITLE]));
    let seen = search::search(&scene.relay.data(), &needles)?;
    if let Some((table, text)) = seen.found.first() {
        return Err(format!("the relay has `{text}` in clear in its table `{table}`").into());
    }
    good(&format!(
        "none of {} texts in {} rows of {} tables ({})",
        needles.len(),
        seen.rows,
        seen.tables,
        bytes(seen.bytes)
    ));
    let canary = needles.last().ok_or("there is nothing to look for")?;
    let copy = folder.join("relay-with-canary");
    search::plant(&scene.relay.data(), &copy, canary)?;
    let found = search::search(&copy, &needles)?.found;
    if !found.iter().any(|(_, text)| text == canary) {
        return Err(
            "the search does not find a text that was planted in clear, so it proves nothing"
                .into(),
        );
    }
    good("a control: one of them, planted unencrypted in a copy, is found");
    Ok(())
}

fn summary(scene: &Scene, online: &Online, (received, sent): (u64, u64)) {
    let durable: Vec<Duration> = scene.wrote.iter().map(|wrote| wrote.durable_in).collect();
    let row = |cells: &[&str]| {
        cells
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<String>>()
    };
    let times = |what: &str, times: &[Duration]| {
        let [middle, late, last] = spread(times);
        row(&[what, &times.len().to_string(), &middle, &late, &last])
    };
    table(&[
        row(&[
            "from writing a message until it is",
            "messages",
            "median",
            "99 %",
            "longest",
        ]),
        times("durable on its own node", &durable),
        times("on all three nodes, before the crash", &online.live),
    ]);
    let body_bytes: usize = scene.lines.iter().map(|line| line.body.len()).sum();
    table(&[
        row(&["", "count"]),
        row(&["messages", &(scene.wrote.len() + 1).to_string()]),
        row(&[
            "of them written while the relay was dead",
            &online.offline.to_string(),
        ]),
        row(&["bytes of text", &bytes(body_bytes as u64)]),
        row(&[
            "on the wire to the relay since its restart",
            &bytes(received),
        ]),
        row(&["on the wire from the relay since its restart", &bytes(sent)]),
        row(&[
            "from the restart until all have all",
            &milliseconds(online.recovery),
        ]),
    ]);
}

fn by_hand(scene: &Scene) {
    let [mali, ton, _] = scene.people.as_slice() else {
        return;
    };
    println!("\nGo on by hand: start the relay, write as มะลิ, read as ต้น:\n");
    println!("  {} &", scene.relay.by_hand());
    println!("  {} send {TITLE} 'สวัสดี'", mali.by_hand());
    println!("  {} log {TITLE} --follow", ton.by_hand());
}

impl Scene {
    /// UDP bytes that the relay received and sent since its last start.
    fn relay_bytes(&self) -> Result<(u64, u64), Failure> {
        Ok((
            self.relay.metric("khlong_udp_received_bytes_total")?,
            self.relay.metric("khlong_udp_sent_bytes_total")?,
        ))
    }
}

/// Waits until a node's view of the timeline is as wanted.
async fn reach(
    person: &Person,
    timeline: &str,
    what: &str,
    done: impl Fn(&TimelineView) -> bool,
) -> Result<(), Failure> {
    let mut client = person.client().await?;
    let mut events = client.subscribe().await?;
    let reached = async {
        loop {
            let Response::Timelines { timelines } = client.request(&Request::TimelineLs).await?
            else {
                return Err("the node does not list its timelines".into());
            };
            if timelines
                .iter()
                .any(|view| view.id == timeline && done(view))
            {
                return Ok(());
            }
            events.next().await?;
        }
    };
    let outcome: Result<Result<(), Failure>, _> = tokio::time::timeout(PATIENCE, reached).await;
    outcome.unwrap_or_else(|_| {
        Err(format!(
            "waited {} s in vain until {} {what}",
            PATIENCE.as_secs(),
            person.nickname
        )
        .into())
    })
}

/// Waits until a message of this node has come so far.
async fn delivered(
    person: &Person,
    timeline: &str,
    message: &str,
    want: Delivery,
) -> Result<(), Failure> {
    let mut client = person.client().await?;
    let mut events = client.subscribe().await?;
    let request = Request::Message {
        timeline: timeline.to_owned(),
        message: message.to_owned(),
    };
    let reached = async {
        loop {
            let Response::Messages { messages, .. } = client.request(&request).await? else {
                return Err("the node does not know its own message".into());
            };
            if messages
                .first()
                .is_some_and(|message| message.delivery >= want)
            {
                return Ok(());
            }
            events.next().await?;
        }
    };
    let outcome: Result<Result<(), Failure>, _> = tokio::time::timeout(PATIENCE, reached).await;
    outcome.unwrap_or_else(|_| {
        Err(format!(
            "the message was not {want:?} within {} s",
            PATIENCE.as_secs()
        )
        .into())
    })
}

fn text(value: &serde_json::Value, path: &[&str]) -> Result<String, Failure> {
    let found = path
        .iter()
        .try_fold(value, |value, name| value.get(name))
        .and_then(|value| value.as_str());
    Ok(found
        .ok_or_else(|| format!("{value} has no field {}", path.join(".")))?
        .to_owned())
}
