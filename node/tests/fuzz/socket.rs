//! Lines through the daemon's socket. Only its owner can write there, but scripts do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use khlong_node::api::{Delivery, Event, Request, Response};
use khlong_node::daemon::line::{Control, ControlAnswer, Gap};
use khlong_node::daemon::socket;
use khlong_node::node::Node;
use khlong_node::search::{Found, Wanted};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::disk::NodeDisk;
use crate::fuzzing::fuzz;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn requests() -> Vec<Request> {
    let timeline = || "canal".to_owned();
    vec![
        Request::Id,
        Request::RelayLs,
        Request::TimelineLs,
        Request::BlockedLs,
        Request::TimelineNew {
            title: "canal".to_owned(),
            kind: "group".to_owned(),
            relays: Vec::new(),
        },
        Request::TimelineInvite {
            timeline: timeline(),
            to: None,
            read_only: true,
            expires_in_s: 60,
        },
        Request::TimelineJoin {
            link: "khlong://rly_x@relay.example:4747/join/tl_x#open.x".to_owned(),
        },
        Request::TimelineRename {
            timeline: timeline(),
            title: "สวัสดี".to_owned(),
        },
        Request::Send {
            timeline: timeline(),
            body: "hello \u{1f6f6} \"quoted\"".to_owned(),
            reply_to: None,
        },
        Request::Log {
            timeline: timeline(),
            from: Some(0),
            limit: Some(10),
        },
    ]
}

/// No checkpoint among them: a path that was spoilt would be made somewhere.
fn lines() -> Vec<Vec<u8>> {
    let wanted = Wanted {
        query: "hello".to_owned(),
        timeline: Some("canal".to_owned()),
        author: None,
        since_ms: Some(-1),
        before_ms: None,
        limit: 10,
    };
    let controls = [Control::Events, Control::Search(wanted)];
    let json = |control: &Control| serde_json::to_vec(control).unwrap();
    let mut lines: Vec<Vec<u8>> = controls.iter().map(json).collect();
    let json = |request: &Request| serde_json::to_vec(request).unwrap();
    lines.extend(requests().iter().map(json));
    lines
}

fuzz!(fuzz_line_of_socket, 2_000, questions(), question);

/// Also those which the daemon below is not asked.
fn questions() -> Vec<Vec<u8>> {
    let folder = PathBuf::from("checkpoint");
    let more = [
        Control::Sync {
            timeout_ms: u64::MAX,
        },
        Control::Checkpoint { folder },
    ];
    let json = |control: &Control| serde_json::to_vec(control).unwrap();
    [lines(), more.iter().map(json).collect()].concat()
}

fn question(bytes: &[u8]) -> bool {
    comes_back::<Request>(bytes) | comes_back::<Control>(bytes)
}

fuzz!(fuzz_answer_of_socket, 2_000, answers(), shapes);

/// What a client reads: answers, events, and that some were missed.
fn answers() -> Vec<Vec<u8>> {
    fn json<T: Serialize>(values: &[T]) -> Vec<Vec<u8>> {
        let lines = values.iter().map(serde_json::to_vec);
        lines.map(Result::unwrap).collect()
    }
    let timeline = || "canal".to_owned();
    let responses = [
        Response::Timelines {
            timelines: Vec::new(),
        },
        Response::NotLetIn {
            timeline: timeline(),
            code: 9,
        },
        Response::Written {
            timeline: timeline(),
            message: Some("msg_x".to_owned()),
            envelope: None,
            delivery: Delivery::Queued,
        },
        Response::Refused {
            message: "\u{e17} \"quoted\"".to_owned(),
            exit_code: 2,
        },
    ];
    let found = Found {
        hits: Vec::new(),
        total: 0,
        rebuilt: Some("it was of another version".to_owned()),
        behind: None,
    };
    let of_control = [
        ControlAnswer::Done,
        ControlAnswer::Synced { idle: true },
        ControlAnswer::Found(found),
    ];
    let events = [
        Event::Message {
            timeline: timeline(),
            message: "msg_x".to_owned(),
        },
        Event::Fork {
            timeline: timeline(),
            author: "aut_x".to_owned(),
            seq: u64::MAX,
        },
    ];
    let gap = [Gap::Missed { count: 3 }];
    [
        json(&responses),
        json(&of_control),
        json(&events),
        json(&gap),
    ]
    .concat()
}

fn shapes(bytes: &[u8]) -> bool {
    let shapes = [
        comes_back::<Response>(bytes),
        comes_back::<ControlAnswer>(bytes),
        comes_back::<Event>(bytes),
        comes_back::<Gap>(bytes),
    ];
    shapes.contains(&true)
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return false;
    };
    let json = serde_json::to_vec(&value).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&json).unwrap(), value);
    true
}

fuzz!(fuzz_daemon, 60, lines(), daemon());

/// A daemon on an imaginary disk, and what ends it.
struct Daemon {
    home: TempDir,
    quit: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Daemon {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (quit, stop) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel::<()>();
        let folder = home.path().to_path_buf();
        let served = runtime.spawn(async move {
            let mut disk = NodeDisk::with_node("mali", 1);
            let open = Box::new(move |now| disk.open(now));
            let node = Node::open_on(open, false).await.unwrap();
            let shutdown = async {
                let _ = stop.await;
            };
            let serving = khlong_node::daemon::serve(node, &folder, shutdown);
            let mut serving = std::pin::pin!(serving);
            // The socket is made at the first look.
            let first = std::future::poll_fn(|context| {
                std::task::Poll::Ready(serving.as_mut().poll(context))
            });
            assert!(first.await.is_pending());
            ready.send(()).unwrap();
            serving.await.unwrap();
        });
        runtime.block_on(is_ready).unwrap();
        Self {
            home,
            quit: Some(quit),
            served: Some(served),
            runtime,
        }
    }

    fn socket(&self) -> PathBuf {
        socket::path(self.home.path())
    }

    /// The first line of an answer; none if the daemon ended the connection.
    fn ask(&self, line: &[u8]) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(line).unwrap();
        stream.write_all(b"\n").unwrap();
        let mut answer = String::new();
        let mut reader = BufReader::new(&stream);
        reader.read_line(&mut answer).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        (!answer.is_empty()).then_some(answer)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(served) = self.served.take() {
            let ended = self.runtime.block_on(served);
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

/// Every line has an answer, and after it the daemon answers the next one.
fn daemon() -> impl Fn(&[u8]) -> bool {
    let daemon = Daemon::start();
    move |bytes| {
        // A line feed in it begins another question.
        let line: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| *byte != b'\n')
            .collect();
        let answer = daemon.ask(&line).unwrap();
        assert!(
            serde_json::from_str::<Response>(&answer).is_ok()
                || serde_json::from_str::<ControlAnswer>(&answer).is_ok(),
            "{answer}"
        );
        let id = daemon
            .ask(&serde_json::to_vec(&Request::Id).unwrap())
            .unwrap();
        let id: Response = serde_json::from_str(&id).unwrap();
        assert!(!matches!(id, Response::Refused { .. }), "{id:?}");
        // It is a question, whatever the answer.
        !answer.contains("does not understand the request")
    }
}
