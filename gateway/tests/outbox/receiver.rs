//! A server that receives notices, well or badly.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use khlong_gateway::outbox::{Secret, signature};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::until::found;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// Never.
    Hangs,
    /// Never, and yet it has done what it was told.
    TakesAndHangs,
    /// With a body that does not end.
    Endless,
    /// Elsewhere.
    Redirects,
}

/// What it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) id: String,
    pub(crate) body: String,
}

struct Inner {
    got: Vec<Got>,
    /// Those that it answered with 2xx, by key: what it does not do twice.
    known: BTreeMap<String, String>,
    answers: VecDeque<Answer>,
    /// When those are used up.
    then: Answer,
}

type Shared = Arc<Mutex<Inner>>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    inner: Shared,
    _runtime: Runtime,
}

impl Receiver {
    /// One that gives these answers in turn, and 204 from then on.
    pub(crate) fn start(answers: &[Answer]) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            got: Vec::new(),
            known: BTreeMap::new(),
            answers: answers.iter().copied().collect(),
            then: Answer::Status(204),
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/hook", post(receive))
            .with_state(Arc::clone(&inner));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            inner,
            _runtime: runtime,
        }
    }

    /// From now on, whatever it was to answer before.
    pub(crate) fn answers_with(&self, answer: Answer) {
        let mut inner = self.inner.lock().unwrap();
        inner.answers.clear();
        inner.then = answer;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.lock().unwrap().got.clone()
    }

    /// What it took, each key once.
    pub(crate) fn known(&self) -> BTreeMap<String, String> {
        self.inner.lock().unwrap().known.clone()
    }

    /// Until it was asked so often.
    pub(crate) fn wait_for(&self, requests: usize) -> Vec<Got> {
        found(&format!("{requests} requests came"), || {
            Some(self.got()).filter(|got| got.len() >= requests)
        })
    }
}

/// Refuses what is not signed, and drops what it knows.
async fn receive(State(inner): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers[name].to_str().unwrap().to_owned();
    let id = text("webhook-id");
    let seconds: i64 = text("webhook-timestamp").parse().unwrap();
    let signed = signature(&Secret::parse(SECRET).unwrap(), &id, seconds, &body);
    assert_eq!(text("webhook-signature"), signed);
    assert_eq!(text("idempotency-key"), format!("\"{id}\""));
    assert_eq!(text("content-type"), "application/json");
    let answer = {
        let mut inner = inner.lock().unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        inner.got.push(Got {
            id: id.clone(),
            body: body.clone(),
        });
        let answer = inner.answers.pop_front().unwrap_or(inner.then);
        if matches!(answer, Answer::Status(200..=299) | Answer::TakesAndHangs) {
            let known = inner.known.entry(id).or_insert_with(|| body.clone());
            assert_eq!(*known, body, "the same key, the same body");
        }
        answer
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Hangs | Answer::TakesAndHangs => std::future::pending().await,
        Answer::Endless => Body::new(Endless).into_response(),
        Answer::Redirects => {
            let elsewhere = [(header::LOCATION, "http://127.0.0.1:9/")];
            (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response()
        }
    }
}

/// A body without an end.
struct Endless;

impl axum::body::HttpBody for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let data = Bytes::from_static(&[b'x'; 16 * 1024]);
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(data))))
    }
}
