//! The steps of a plan, one by one.

use khlong_crdt::id::TimelineId;
use khlong_node::api::{Request, Response};
use khlong_store::engine::faults::Fault;
use khlong_sync::limits::PROTOCOL_VERSION_MAX;

use super::{Asked, Run};
use crate::actors::world::Action;
use crate::fuzz::checkers::secrecy::CANARY;
use crate::fuzz::plan::{DiskFault, Doing, FuzzPlan, RogueAct, Step, blocked_end};
use crate::fuzz::rogue;
use crate::plan::{Entity, LinkIndex};

/// Of a disk that is full.
const FULL_BYTES: u64 = 0;

impl Run<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
    pub(super) fn perform(&mut self, step: &Step) {
        let now = self.world.now();
        let machine = |number: u8| FuzzPlan::machine(number);
        match &step.what {
            Doing::Say {
                node,
                timeline,
                bytes,
            } => self.say(*node, *timeline, *bytes),
            Doing::Edit {
                node,
                timeline,
                nth,
            } => {
                self.on_own(*node, *timeline, *nth, |timeline, message| Request::Edit {
                    timeline,
                    body: format!("{CANARY} edited {message}"),
                    message,
                });
            }
            Doing::Delete {
                node,
                timeline,
                nth,
            } => {
                self.on_own(*node, *timeline, *nth, |timeline, message| {
                    Request::Delete { timeline, message }
                });
            }
            Doing::React {
                node,
                timeline,
                nth,
            } => {
                self.on_own(*node, *timeline, *nth, |timeline, message| Request::React {
                    timeline,
                    message,
                    emoji: "🙏".to_owned(),
                    remove: false,
                });
            }
            Doing::Read { node, timeline } => {
                if let Some(timeline) = self.timeline(*timeline) {
                    self.ask(
                        machine(*node),
                        timeline.clone(),
                        false,
                        Request::Read { timeline },
                    );
                }
            }
            Doing::Down { node, relay } => self.act_if(
                self.world.is_reachable(machine(*node), machine(*relay)),
                "networks cut",
                Action::Down(machine(*node), machine(*relay)),
            ),
            Doing::Up { node, relay } => self.act_if(
                !self.world.is_reachable(machine(*node), machine(*relay)),
                "networks back",
                Action::Up(machine(*node), machine(*relay), LinkIndex(0)),
            ),
            Doing::Break { node, relay } => {
                self.act_if(
                    true,
                    "connections broken",
                    Action::Break(machine(*node), machine(*relay)),
                );
            }
            Doing::Block {
                node,
                relay,
                from_node,
                blocked,
            } => {
                let end = blocked_end(*from_node);
                let action = Action::Block(machine(*node), machine(*relay), end, *blocked);
                self.act_if(true, "one-way partitions", action);
            }
            Doing::Crash {
                machine: who,
                kept_bytes,
            } => {
                let kept = usize::try_from(*kept_bytes).unwrap_or(0);
                self.act_if(true, "power cuts", Action::Crash(machine(*who), kept));
            }
            Doing::Start { machine: who } => {
                self.act_if(true, "power restored", Action::Start(machine(*who)));
            }
            Doing::Disk {
                machine: who,
                fault,
                after,
            } => {
                let action = Action::Disk(machine(*who), u64::from(*after), fault_of(*fault));
                self.act_if(true, "disk faults planned", action);
            }
            Doing::Full { machine: who, full } => {
                let bytes = full.then_some(FULL_BYTES);
                self.act_if(
                    true,
                    "disks filled",
                    Action::FreeBytes(machine(*who), bytes),
                );
            }
            Doing::Clock {
                machine: who,
                by_ms,
            } => {
                self.act_if(
                    true,
                    "clock jumps",
                    Action::ClockJump(machine(*who), *by_ms),
                );
            }
            Doing::Rogue { relay, act } => self.rogue(machine(*relay), *act),
            Doing::Twin { node } => {
                if self.world.twin(now, machine(*node)) {
                    self.ledger.findings.happened("devices copied");
                    self.ledger.twins.insert(machine(*node));
                }
            }
        }
        self.advance(now);
    }

    fn act_if(&mut self, applies: bool, what: &'static str, action: Action) {
        if applies {
            self.ledger.findings.happened(what);
            self.world.act(self.world.now(), action);
        }
    }

    fn timeline(&self, number: u8) -> Option<String> {
        self.met.timelines.get(usize::from(number)).cloned()
    }

    fn say(&mut self, node: u8, timeline: u8, bytes: u32) {
        let Some(timeline) = self.timeline(timeline) else {
            return;
        };
        self.messages += 1;
        let mut body = format!("{CANARY} #{} ", self.messages);
        while body.len() < bytes as usize {
            body.push_str("ข่าวจากคลอง news ");
        }
        let request = Request::Send {
            timeline: timeline.clone(),
            body,
            reply_to: None,
        };
        self.ask(FuzzPlan::machine(node), timeline, true, request);
    }

    fn on_own(
        &mut self,
        node: u8,
        timeline: u8,
        nth: u16,
        request: impl FnOnce(String, String) -> Request,
    ) {
        let who = FuzzPlan::machine(node);
        let Some(timeline) = self.timeline(timeline) else {
            return;
        };
        let message = self
            .mine
            .get(&(who, timeline.clone()))
            .and_then(|mine| mine.get(usize::from(nth) % mine.len().max(1)))
            .cloned();
        if let Some(message) = message {
            let request = request(timeline.clone(), message);
            self.ask(who, timeline, false, request);
        }
    }

    pub(super) fn ask(&mut self, who: Entity, timeline: String, is_new: bool, request: Request) {
        self.number += 1;
        let asked = Asked {
            saw: is_new.then(|| self.newest(who, &timeline)).flatten(),
            life: self.life_of(who),
            timeline,
            is_new,
        };
        self.asked.insert(self.number, asked);
        let action = Action::Ask(who, self.number, Box::new(request));
        self.world.act(self.world.now(), action);
    }

    fn rogue(&mut self, relay: Entity, act: RogueAct) {
        let timeline: Option<TimelineId> = self
            .met
            .timelines
            .first()
            .and_then(|timeline| timeline.parse().ok());
        let now = self.world.now();
        // In turn: nothing is drawn for it.
        let version = PROTOCOL_VERSION_MAX - u16::from(self.strangers % 2 == 1);
        self.strangers += 1;
        let world = &mut self.world;
        let deed = rogue::perform(world, now, relay, version, act, timeline);
        if deed.shadows_refused > 0 {
            self.ledger.findings.happened("strangers forged shadows");
        }
        if deed.took_effect {
            self.ledger.findings.happened(match act {
                RogueAct::Garbage => "strangers sent garbage",
                RogueAct::Replay => "strangers replayed",
                RogueAct::Forge => "strangers forged",
                RogueAct::Stranger => "strangers wrote",
                RogueAct::Flood => "strangers flooded",
                RogueAct::StolenProof => "strangers stole a proof",
            });
        }
        self.ledger.forgery.made(deed.forged);
    }

    /// The last message that a device shows.
    fn newest(&mut self, who: Entity, timeline: &str) -> Option<String> {
        let now = self.world.now();
        let request = Request::Log {
            timeline: timeline.to_owned(),
            from: None,
            limit: Some(1),
        };
        match self.world.node_mut(who)?.ask(now, request)? {
            Response::Messages { messages, .. } => messages.last().map(|last| last.id.clone()),
            _ => None,
        }
    }
}

pub(in crate::fuzz) const fn fault_of(fault: DiskFault) -> Fault {
    match fault {
        DiskFault::SyncLost => Fault::SyncError { persisted: false },
        DiskFault::SyncKept => Fault::SyncError { persisted: true },
        DiskFault::Torn => Fault::TornCommit { kept_bytes: 100 },
        DiskFault::NoSpace => Fault::NoSpace,
        DiskFault::Stall => Fault::Stall,
        DiskFault::Read => Fault::ReadError,
    }
}
