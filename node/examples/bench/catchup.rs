//! Catching up: a device that missed a long conversation, on real disks, through a real relay.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use khlong_node::api::{Request, Response, TimelineView};
use khlong_node::folder::{self, KeyProtection};
use khlong_node::node::{Node, NodeOptions};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::figures::Figures;
use crate::memory;
use crate::processes::Failure;
use crate::side::{Contender, Side};
use crate::texts::Texts;

/// Missed messages, small and `--full`.
const MESSAGES: usize = 2_000;
const MESSAGES_FULL: usize = 100_000;
const TITLE: &str = "canal";
/// Requests that wait for one commit of the writer, as a busy room gives.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(1_200);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// What a screen shows.
const SCREEN: usize = 50;

/// Each message is an envelope of its own, as it is where people take turns.
pub(crate) async fn measure(
    binaries: &Path,
    texts: &Texts,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let count = if full { MESSAGES_FULL } else { MESSAGES };
    let side = Side::start(&Contender::Khlong, binaries).await?;
    let (writer, mut reader) = two_members(&side).await?;
    let mut case = Case {
        name: format!("catch-up, {count} messages"),
        count,
        text_bytes: 0,
        figures,
    };
    case.write(&writer, texts).await?;
    writer.node.stop().await;
    case.catch_up(&side, &mut reader).await?;
    case.read(&mut reader).await?;
    reader.node.stop().await;
    side.end()
}

/// Who writes, and who was there when the timeline was opened and is offline since.
async fn two_members(side: &Side) -> Result<(Device, Device), Failure> {
    let relay = side.address().ok_or("a relay has an address")?;
    let writer = Device::create(side.folder.path(), "mali", 1).await?;
    let add = Request::RelayAdd {
        address: relay,
        token: None,
    };
    writer.ask(add).await?;
    let new = Request::TimelineNew {
        title: TITLE.to_owned(),
        kind: "group".to_owned(),
        relays: Vec::new(),
    };
    writer.ask(new).await?;
    let invite = Request::TimelineInvite {
        timeline: TITLE.to_owned(),
        to: None,
        read_only: false,
        expires_in_s: 0,
    };
    let Response::Invite { link, .. } = writer.ask(invite).await? else {
        return Err("no link".into());
    };
    writer.in_step().await?;
    let reader = Device::create(side.folder.path(), "ton", 2).await?;
    reader.ask(Request::TimelineJoin { link }).await?;
    reader.in_step().await?;
    reader.node.stop().await;
    Ok((writer, reader))
}

struct Case<'f> {
    name: String,
    count: usize,
    text_bytes: usize,
    figures: &'f mut Figures,
}

impl Case<'_> {
    fn add(&mut self, what: &str, unit: &'static str, sample: f64) {
        self.figures
            .add(format!("{}: {what}", self.name), unit, sample);
    }

    fn a_message(&mut self, what: &str, bytes: u64) {
        let each = bytes as f64 / self.count as f64;
        self.add(what, "B/message", each);
    }

    async fn write(&mut self, writer: &Device, texts: &Texts) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut texts = texts.iter();
        for first in (0..self.count).step_by(AT_ONCE) {
            let mut sending = Vec::new();
            for _ in first..self.count.min(first + AT_ONCE) {
                let body = texts.next().unwrap_or_default().to_owned();
                self.text_bytes += body.len();
                let node = writer.node.clone();
                sending.push(tokio::spawn(async move { node.request(send(body)).await }));
            }
            for sent in sending {
                if let Response::Refused { message, .. } = sent.await? {
                    return Err(message.into());
                }
            }
        }
        writer.in_step().await?;
        let rate = self.count as f64 / begun.elapsed().as_secs_f64();
        self.add("written and stored", "messages/s", rate);
        Ok(())
    }

    async fn catch_up(&mut self, side: &Side, reader: &mut Device) -> Result<(), Failure> {
        let traffic = || (side.metric(SENT), side.metric(RECEIVED));
        let before = traffic();
        let resident = memory::resident_bytes()?;
        let begun = Instant::now();
        reader.reopen().await?;
        let mut first = None;
        loop {
            let shown = reader.timeline().await?.messages;
            if shown > 0 {
                first.get_or_insert_with(|| begun.elapsed());
            }
            if shown >= self.count {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("only {shown} of {} messages came", self.count).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let all = begun.elapsed();
        reader.in_step().await?;
        let held = memory::resident_bytes()?.saturating_sub(resident);
        self.add("to the first", "ms", millis(first.unwrap_or(all)));
        self.add("to all", "s", all.as_secs_f64());
        self.add("rate", "messages/s", self.count as f64 / all.as_secs_f64());
        let (Some(sent_before), Some(received_before)) = before else {
            return Err("the relay counts no traffic".into());
        };
        let (Some(sent), Some(received)) = traffic() else {
            return Err("the relay counts no traffic".into());
        };
        let (sent, received) = (sent - sent_before, received - received_before);
        self.a_message("to the device", sent);
        self.a_message("from it", received);
        self.a_message("of text", self.text_bytes as u64);
        let times = (sent + received) as f64 / self.text_bytes as f64;
        self.add("bytes both ways / text", "times", times);
        self.a_message("memory of the device, at most", held);
        Ok(())
    }

    async fn read(&mut self, reader: &mut Device) -> Result<(), Failure> {
        let begun = Instant::now();
        reader.log(SCREEN).await?;
        let running = format!("the newest {SCREEN}, node running");
        self.add(&running, "ms", millis(begun.elapsed()));
        reader.node.stop().await;
        let begun = Instant::now();
        reader.reopen().await?;
        let opened = begun.elapsed();
        reader.log(SCREEN).await?;
        let started = format!("the newest {SCREEN}, node started for it");
        self.add(&started, "ms", millis(begun.elapsed()));
        self.add("of that, until the folder is open", "ms", millis(opened));
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Of `/metrics`, UDP payload.
const SENT: &str = "khlong_udp_sent_bytes_total";
const RECEIVED: &str = "khlong_udp_received_bytes_total";

struct Device {
    home: PathBuf,
    node: Node,
}

impl Device {
    async fn create(folder: &Path, nickname: &str, seed: u64) -> Result<Self, Failure> {
        let home = folder.join(nickname);
        let mut entropy = [0; 32];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut entropy);
        folder::init(&home, nickname, &KeyProtection::Plain, entropy)?;
        let node = open(&home).await?;
        Ok(Self { home, node })
    }

    async fn reopen(&mut self) -> Result<(), Failure> {
        self.node = open(&self.home).await?;
        Ok(())
    }

    async fn ask(&self, request: Request) -> Result<Response, Failure> {
        match self.node.request(request).await {
            Response::Refused { message, .. } => Err(message.into()),
            answer => Ok(answer),
        }
    }

    async fn in_step(&self) -> Result<(), Failure> {
        if self.node.wait_idle(PATIENCE).await {
            Ok(())
        } else {
            Err("a node does not come in step with the relay".into())
        }
    }

    async fn timeline(&self) -> Result<TimelineView, Failure> {
        match self.ask(Request::TimelineLs).await? {
            Response::Timelines { mut timelines } => {
                Ok(timelines.pop().ok_or("the timeline is not here")?)
            }
            other => Err(format!("not the timelines: {other:?}").into()),
        }
    }

    async fn log(&self, limit: usize) -> Result<(), Failure> {
        let log = Request::Log {
            timeline: TITLE.to_owned(),
            from: None,
            limit: Some(limit),
        };
        match self.ask(log).await? {
            Response::Messages { messages, .. } if messages.len() == limit => Ok(()),
            other => Err(format!("not a screen of messages: {other:?}").into()),
        }
    }
}

async fn open(home: &Path) -> Result<Node, Failure> {
    let options = NodeOptions {
        home: home.to_owned(),
        passphrase: None,
        online: true,
    };
    Ok(Node::open(options).await?)
}

fn send(body: String) -> Request {
    Request::Send {
        timeline: TITLE.to_owned(),
        body,
        reply_to: None,
    }
}
