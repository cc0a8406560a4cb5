//! Hello and hello: the client offers versions, the server chooses the highest common one.

use std::ops::RangeInclusive;

use khlong_crdt::time::Now;

use super::config::sendable_token;
use super::error::SessionError;
use super::output::Event;
use super::timer::Timer;
use super::{Phase, Session, Side};
use crate::limits::{KEEP_ALIVE_MS_MAX, KEEP_ALIVE_MS_MIN};
use crate::replica::Replica;
use crate::wire::frame::{Frame, Hello};

impl Session {
    pub(super) fn connected(&mut self, exporter: [u8; 32]) -> Result<(), SessionError> {
        if self.phase != Phase::Connecting {
            return Err(SessionError::Misuse {
                what: "connected twice",
            });
        }
        self.phase = Phase::Greeting { exporter };
        if let Side::Client(client) = &self.side {
            let token = sendable_token(client.token());
            let hello = Hello {
                token,
                ..self.own_hello(self.config.versions.clone())
            };
            self.outbox.send(Frame::Hello(hello));
        }
        Ok(())
    }

    pub(super) fn hello(
        &mut self,
        now: Now,
        exporter: [u8; 32],
        hello: Hello,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let ours = self.config.versions.clone();
        let mismatch = || SessionError::Version {
            theirs: hello.versions.clone(),
            ours: self.config.versions.clone(),
        };
        let version = highest_common(&hello.versions, &ours).ok_or_else(mismatch)?;
        match &mut self.side {
            Side::Server(server) => {
                let log = replica.log();
                server.greeted(version, log);
                let mut answer = self.own_hello(version..=version);
                answer.log = Some(log);
                answer.relay_time = Some(now.wall);
                self.outbox.send(Frame::Hello(answer));
            }
            Side::Client(client) => {
                if hello.versions.start() != hello.versions.end() {
                    return Err(SessionError::Protocol {
                        what: "hello chose no version",
                    });
                }
                let log = hello.log.ok_or(SessionError::Protocol {
                    what: "hello names no log",
                })?;
                client.greeted(version, log);
            }
        }
        self.keep_alive_ms = u64::from(self.own_keep_alive_ms().min(hello.keep_alive_ms));
        self.phase = Phase::Ready { exporter, version };
        self.timers.stop(Timer::Handshake);
        self.outbox.event(Event::Ready { hello, version });
        Ok(())
    }

    fn own_hello(&self, versions: RangeInclusive<u16>) -> Hello {
        Hello {
            versions,
            agent: self.config.agent(),
            keep_alive_ms: self.own_keep_alive_ms(),
            log: None,
            token: None,
            relay_time: None,
        }
    }

    fn own_keep_alive_ms(&self) -> u32 {
        self.config
            .keep_alive_ms
            .clamp(KEEP_ALIVE_MS_MIN, KEEP_ALIVE_MS_MAX)
    }
}

fn highest_common(theirs: &RangeInclusive<u16>, ours: &RangeInclusive<u16>) -> Option<u16> {
    let highest = *theirs.end().min(ours.end());
    (theirs.contains(&highest) && ours.contains(&highest)).then_some(highest)
}
