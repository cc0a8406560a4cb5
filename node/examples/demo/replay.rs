//! Several authors write the bundled conversation at once, and their neighbours watch it arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use khlong_node::api::{Delivery, Event, Request, Response};
use khlong_node::daemon::client::Client;
use khlong_node::node::Heard;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::processes::Failure;
use crate::world::Person;

/// Between two messages of one author. All of them together type far faster than people.
const TYPING_PAUSE: Duration = Duration::from_millis(40);

/// Arrivals that wait for the reader of the report.
const ARRIVALS_MAX: usize = 4_096;

/// One message of the conversation.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) sender: String,
    pub(crate) body: String,
}

/// What one author wrote.
#[derive(Clone, Debug)]
pub(crate) struct Wrote {
    pub(crate) message: String,
    pub(crate) at: Instant,
    /// Until it was durable on the author's own node.
    pub(crate) durable_in: Duration,
    pub(crate) delivery: Delivery,
}

/// Writes each author's lines through the author's own daemon, all authors at the same time.
pub(crate) async fn write(
    people: &[Person],
    timeline: &str,
    lines: &[Line],
) -> Result<Vec<Wrote>, Failure> {
    let mut authors = JoinSet::new();
    for person in people {
        let own: Vec<String> = lines
            .iter()
            .filter(|line| line.sender == person.nickname)
            .map(|line| line.body.clone())
            .collect();
        let client = person.client().await?;
        authors.spawn(write_one(client, timeline.to_owned(), own));
    }
    let mut wrote = Vec::new();
    while let Some(author) = authors.join_next().await {
        wrote.extend(author??);
    }
    Ok(wrote)
}

async fn write_one(
    mut client: Client,
    timeline: String,
    bodies: Vec<String>,
) -> Result<Vec<Wrote>, Failure> {
    let mut wrote = Vec::new();
    for body in bodies {
        let at = Instant::now();
        let request = Request::Send {
            timeline: timeline.clone(),
            body,
            reply_to: None,
        };
        let response = client.request(&request).await?;
        let Response::Written {
            message: Some(message),
            delivery,
            ..
        } = response
        else {
            return Err(format!("the node answered {response:?} to a message").into());
        };
        wrote.push(Wrote {
            message,
            at,
            durable_in: at.elapsed(),
            delivery,
        });
        tokio::time::sleep(TYPING_PAUSE).await;
    }
    Ok(wrote)
}

/// Notes when each message was first seen on each node.
pub(crate) struct Watch {
    tasks: JoinSet<()>,
    arrivals: mpsc::Receiver<(usize, String, Instant)>,
    counts: Vec<watch::Receiver<usize>>,
}

impl Watch {
    pub(crate) async fn start(people: &[Person]) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let mut counts = Vec::new();
        for (number, person) in people.iter().enumerate() {
            let mut events = person.client().await?.subscribe().await?;
            let sender = sender.clone();
            let (count, counted) = watch::channel(0);
            counts.push(counted);
            tasks.spawn(async move {
                while let Ok(heard) = events.next().await {
                    if let Heard::Event(Event::Message { message, .. }) = heard
                        && sender.send((number, message, Instant::now())).await.is_ok()
                    {
                        count.send_modify(|count| *count += 1);
                    }
                }
            });
        }
        Ok(Self {
            tasks,
            arrivals,
            counts,
        })
    }

    /// Waits until this node has seen so many messages since the start.
    pub(crate) async fn seen(
        &mut self,
        person: usize,
        count: usize,
        patience: Duration,
    ) -> Result<(), Failure> {
        let counted = self
            .counts
            .get_mut(person)
            .ok_or("there is no such person")?;
        let reached = tokio::time::timeout(patience, counted.wait_for(|seen| *seen >= count))
            .await
            .is_ok();
        if reached {
            return Ok(());
        }
        Err(format!(
            "only {} of {count} messages were announced",
            *counted.borrow()
        )
        .into())
    }

    /// How long each message took from its author until the last node had it;
    /// only those for which `counts` says so, from the times of writing and of arrival.
    pub(crate) fn finish(
        mut self,
        wrote: &[Wrote],
        nodes: usize,
        counts: impl Fn(Instant, Instant) -> bool,
    ) -> Vec<Duration> {
        self.tasks.abort_all();
        let mut seen: BTreeMap<String, (BTreeSet<usize>, Option<Instant>)> = BTreeMap::new();
        while let Ok((node, message, at)) = self.arrivals.try_recv() {
            let (nodes, last) = seen.entry(message).or_default();
            if nodes.insert(node) {
                *last = Some(last.map_or(at, |last| last.max(at)));
            }
        }
        let took = |wrote: &Wrote| {
            let (on, last) = seen.get(&wrote.message)?;
            let arrived = last.filter(|last| on.len() == nodes && counts(wrote.at, *last))?;
            Some(arrived.saturating_duration_since(wrote.at))
        };
        wrote.iter().filter_map(took).collect()
    }
}
