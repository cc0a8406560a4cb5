//! Who asks: API keys with roles. Only the hash of a key is kept, and compared in constant time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use data_encoding::BASE64;
use khlong_crdt::time::Monotonic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bodies::Share;
use super::limits::{BODIES_BYTES_MAX, KEY_BODIES_BYTES_MAX, SECRET_BYTES_MAX};
use super::problem::{Problem, ProblemKind};
use super::rate::Bucket;

/// What a key may do; each may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything.
    Reader,
    /// Makes accounts and transfers.
    Writer,
    /// Compares the books with the bank, and pays out.
    Operator,
    /// Makes assets and checkpoints.
    Admin,
}

impl Role {
    /// As it is configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key that is known.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Whose it is: the caller of its commands, so it stays when the secret changes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// BLAKE3 of the secret.
    pub hash: blake3::Hash,
}

/// Who asks, and was found to be allowed to.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) bodies: Share,
}

/// How a secret may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `Authorization: Bearer SECRET`.
    Bearer,
    /// That, or `Basic` with the secret as password. A browser sends it unasked, also for
    /// another site's page: for reading alone.
    BearerOrBasic,
}

/// A key with what it may ask, and send at once.
struct Known {
    key: ApiKey,
    bucket: Mutex<Bucket>,
    bodies: Share,
}

/// All keys. At most [`super::limits::KEYS_MAX`].
pub(super) struct Keys(Vec<Known>);

impl Keys {
    pub(super) fn new(keys: Vec<ApiKey>, per_minute: u32, now: Monotonic) -> Self {
        let shares = Share::divide(BODIES_BYTES_MAX, KEY_BODIES_BYTES_MAX);
        let known = |(key, bodies)| Known {
            key,
            bucket: Mutex::new(Bucket::new(per_minute, now)),
            bodies,
        };
        Self(keys.into_iter().zip(shares).map(known).collect())
    }

    /// Whose secret the request shows, if that may do what needs `role`, and not too often.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        scheme: Scheme,
        role: Role,
        now: Monotonic,
    ) -> Result<Caller, Problem> {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| secret(value, scheme))
            .ok_or_else(|| unauthenticated(scheme))?;
        let hash = blake3::hash(&shown);
        // All are compared, whichever fits: `blake3::Hash` does so in constant time.
        let mut found = None;
        for known in &self.0 {
            if known.key.hash == hash {
                found = Some(known);
            }
        }
        let Known {
            key,
            bucket,
            bodies,
        } = found.ok_or_else(|| unauthenticated(scheme))?;
        // Before the role: whoever may not is not to ask without end either.
        let taken = bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(now);
        if let Err(seconds) = taken {
            let mut problem = Problem::new(
                ProblemKind::RateLimited,
                format!("wait {seconds} s; limits.requests_per_minute says how often"),
            );
            problem.retry_after_s = Some(seconds);
            return Err(problem);
        }
        if key.role < role {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                format!("this needs role {role}, and the key is a {}", key.role),
            ));
        }
        Ok(Caller {
            name: key.name.clone(),
            bodies: bodies.clone(),
        })
    }
}

fn secret(value: &HeaderValue, scheme: Scheme) -> Option<Vec<u8>> {
    let (name, shown) = value.to_str().ok()?.split_once(' ')?;
    let shown = shown.trim_start_matches(' ');
    let secret = if name.eq_ignore_ascii_case("bearer") {
        shown.as_bytes().to_vec()
    } else if name.eq_ignore_ascii_case("basic") && scheme == Scheme::BearerOrBasic {
        let decoded = BASE64.decode(shown.as_bytes()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        decoded.get(colon + 1..)?.to_vec()
    } else {
        return None;
    };
    (secret.len() <= SECRET_BYTES_MAX).then_some(secret)
}

fn unauthenticated(scheme: Scheme) -> Problem {
    let mut problem = Problem::new(
        ProblemKind::Unauthenticated,
        "send `Authorization: Bearer SECRET` with the secret of a key of the configuration",
    );
    problem.challenge = Some(match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::BearerOrBasic => "Basic realm=\"khlong-gateway\", charset=\"UTF-8\"",
    });
    problem
}
