//! What an operator decides: who may open timelines, how much, how fast, how long.

use std::fmt;

use khlong_crdt::envelope::Expiry;
use khlong_crdt::limits::{ADMISSION_OPS_MAX, AUTHORS_PER_PRINCIPAL_MAX, PRINCIPALS_MAX};
use khlong_crdt::time::Monotonic;

use super::openings::OpeningRate;

/// Bytes that a timeline may store beyond its quota for keys and permissions
/// only: whoever is full can still remove a member.
pub(super) const CONTROL_RESERVE_BYTES: u64 = 4 * 1024 * 1024;

/// Auth-ops of one timeline, with a third that only admins may fill: there is always
/// room to remove somebody. Default 49,152.
pub const AUTH_OPS_PER_TIMELINE_MAX: usize = AUTH_OPS_OF_MEMBERS_MAX + ADMISSION_OPS_MAX;
/// Where auth-ops of others than admins end. Admission limits grants and revocations, of
/// which an envelope holds one or more; as many again introduce devices. Default 32,768.
pub const AUTH_OPS_OF_MEMBERS_MAX: usize = 2 * ADMISSION_OPS_MAX;
/// Auth-ops of one principal that is no admin: each of its devices introduces itself with
/// an inbox, and three times more is said of users' devices than that.
pub const AUTH_OPS_PER_MEMBER_MAX: usize = 4 * AUTHORS_PER_PRINCIPAL_MAX;

const _: () = assert!(ADMISSION_OPS_MAX + PRINCIPALS_MAX <= AUTH_OPS_OF_MEMBERS_MAX);

const MINUTE_MICROS: u64 = 60_000_000;

/// The relay's policy. Admission, which every timeline writes for itself, comes on top.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may open timelines here.
    pub opening: Opening,
    /// Bytes of envelopes that one timeline may store.
    pub timeline_quota_bytes: u64,
    /// How many timelines may be opened.
    pub opening_rate: OpeningRate,
    /// Bytes of envelopes that all timelines together may store while everybody may open
    /// timelines. Beyond, keys and permissions of those that are here still have their reserve.
    pub open_quota_bytes: u64,
    /// How fast one connection may append.
    pub write_rate: WriteRate,
    /// How long bodies are kept.
    pub retention: Retention,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            opening: Opening::Open,
            timeline_quota_bytes: 1 << 30,
            opening_rate: OpeningRate {
                per_connection: 1_024,
                per_network_a_day: 4_096,
            },
            open_quota_bytes: 64 << 30,
            write_rate: WriteRate {
                envelopes_per_minute: 60_000,
            },
            retention: Retention::default(),
        }
    }
}

/// Who may open timelines.
#[derive(Clone, PartialEq, Eq)]
pub enum Opening {
    /// Everybody.
    Open,
    /// Whoever shows this token in the handshake.
    Token(Vec<u8>),
}

impl Opening {
    /// Whether a client that showed `token` may. Compares hashes, so that the
    /// time taken says nothing about the token.
    #[must_use]
    pub fn permits(&self, token: Option<&[u8]>) -> bool {
        match (self, token) {
            (Self::Open, _) => true,
            (Self::Token(_), None) => false,
            (Self::Token(wanted), Some(shown)) => blake3::hash(wanted) == blake3::hash(shown),
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Token(_) => "Token(redacted)",
        })
    }
}

/// How long this relay keeps the bodies of envelopes, counted from its receipt
/// date. Headers stay, and all of class control does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What an envelope gets that asks to be kept.
    pub default: KeepFor,
    /// What no envelope gets more of.
    pub maximum: KeepFor,
}

/// A time to keep something. The shorter one is the lesser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeepFor {
    /// That many days of 24 hours.
    Days(u32),
    /// For good.
    #[default]
    Ever,
}

impl Retention {
    /// How long a body of this expiry class is kept.
    #[must_use]
    pub fn keeps(&self, expiry: Expiry) -> KeepFor {
        expiry
            .days()
            .map_or(self.default, KeepFor::Days)
            .min(self.maximum)
    }
}

/// Envelopes a minute; one minute's worth may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteRate {
    /// At least 1.
    pub envelopes_per_minute: u32,
}

impl WriteRate {
    pub(super) fn full(self, now: Monotonic) -> Allowance {
        Allowance {
            left_micros: MINUTE_MICROS,
            counted: now,
        }
    }

    /// What one envelope costs, in microseconds of the rate.
    fn cost_micros(self) -> u64 {
        MINUTE_MICROS / u64::from(self.envelopes_per_minute.max(1))
    }
}

/// What is left to one connection: microseconds of its rate, saved for at most a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left_micros: u64,
    counted: Monotonic,
}

impl Allowance {
    /// Takes `envelopes` out, or says in how many milliseconds that works. A
    /// request of more than a minute's worth takes all of a full minute.
    pub(super) fn take(
        &mut self,
        rate: WriteRate,
        now: Monotonic,
        envelopes: usize,
    ) -> Result<(), u32> {
        let gained = now.0.saturating_sub(self.counted.0);
        self.left_micros = self.left_micros.saturating_add(gained).min(MINUTE_MICROS);
        self.counted = self.counted.max(now);
        let cost = (envelopes as u64)
            .saturating_mul(rate.cost_micros())
            .min(MINUTE_MICROS);
        match self.left_micros.checked_sub(cost) {
            Some(left) => {
                self.left_micros = left;
                Ok(())
            }
            None => {
                Err(u32::try_from((cost - self.left_micros).div_ceil(1_000)).unwrap_or(u32::MAX))
            }
        }
    }
}
