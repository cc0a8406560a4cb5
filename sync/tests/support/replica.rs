//! A small, real replica in memory.

use std::collections::BTreeMap;

use khlong_crdt::admission::{Refusal, Rights};
use khlong_crdt::class::{Class, Cursor, RunningHash};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, AuthorKey, EnvelopeId, LogId, PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_sync::replica::{Arrival, AuthorHeight, Replica, ReplicaError, TransferTotals, Verdict};

#[derive(Debug, Clone)]
pub struct MemoryReplica {
    pub log: LogId,
    pub log_epoch: u32,
    classes: BTreeMap<Class, Vec<(Arrival, RunningHash)>>,
    by_id: BTreeMap<EnvelopeId, ArrivalSeq>,
    rights: BTreeMap<(TimelineId, AuthorKey), Rights>,
}

impl MemoryReplica {
    pub fn new(log: u8) -> Self {
        Self {
            log: LogId::from_bytes([log; 16]),
            log_epoch: 1,
            classes: BTreeMap::new(),
            by_id: BTreeMap::new(),
            rights: BTreeMap::new(),
        }
    }

    pub fn grant(&mut self, timeline: TimelineId, author: AuthorKey, rights: Rights) {
        self.rights.insert((timeline, author), rights);
    }

    /// `Err` is the place of a duplicate.
    pub fn append(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<Arrival, ArrivalSeq> {
        if let Some(arrival) = self.by_id.get(&envelope.id()) {
            return Err(*arrival);
        }
        let log = self.classes.entry(envelope.class()).or_default();
        let arrival = ArrivalSeq(log.len() as u64 + 1);
        let before = log
            .last()
            .map_or_else(RunningHash::default, |(_, hash)| *hash);
        let hash = before.extend(envelope.class(), arrival, &envelope.id());
        let entry = Arrival {
            arrival,
            received_at,
            envelope: envelope.clone(),
        };
        log.push((entry.clone(), hash));
        self.by_id.insert(envelope.id(), arrival);
        Ok(entry)
    }

    /// Loses everything after the first `keep` arrivals of a class, as a restored backup would.
    pub fn roll_back(&mut self, class: Class, keep: usize) {
        let log = self.classes.entry(class).or_default();
        for (lost, _) in log.drain(keep..) {
            self.by_id.remove(&lost.envelope.id());
        }
    }

    pub fn ids(&self) -> Vec<EnvelopeId> {
        self.by_id.keys().copied().collect()
    }

    pub fn len(&self, class: Class) -> usize {
        self.log_of(class).len()
    }

    fn log_of(&self, class: Class) -> &[(Arrival, RunningHash)] {
        self.classes.get(&class).map_or(&[], Vec::as_slice)
    }

    fn of(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
    ) -> impl Iterator<Item = &Arrival> {
        let log = self.log_of(class).iter().map(|(entry, _)| entry);
        log.filter(move |e| e.arrival > after && e.envelope.timeline() == timeline)
    }
}

impl Replica for MemoryReplica {
    fn log(&self) -> (LogId, u32) {
        (self.log, self.log_epoch)
    }

    fn head(&self, class: Class) -> Result<Cursor, ReplicaError> {
        let head = ArrivalSeq(self.log_of(class).len() as u64);
        Ok(self.cursor_at(class, head)?.unwrap())
    }

    fn cursor_at(&self, class: Class, seq: ArrivalSeq) -> Result<Option<Cursor>, ReplicaError> {
        let (log, log_epoch) = self.log();
        let hash = match usize::try_from(seq.0).unwrap().checked_sub(1) {
            None => Some(RunningHash::default()),
            Some(index) => self.log_of(class).get(index).map(|(_, hash)| *hash),
        };
        Ok(hash.map(|hash| Cursor {
            log,
            log_epoch,
            seq,
            hash: hash.short(),
        }))
    }

    fn timeline_head(
        &self,
        timeline: TimelineId,
        class: Class,
    ) -> Result<ArrivalSeq, ReplicaError> {
        Ok(self
            .of(timeline, class, ArrivalSeq(0))
            .last()
            .map_or(ArrivalSeq(0), |e| e.arrival))
    }

    fn entries(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
        up_to: ArrivalSeq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Arrival>, ReplicaError> {
        let mut bytes = 0;
        let mut entries: Vec<Arrival> = Vec::new();
        for entry in self
            .of(timeline, class, after)
            .take_while(|e| e.arrival <= up_to)
        {
            bytes += entry.envelope.bytes().len();
            if entries.len() >= entries_max || (bytes > bytes_max && !entries.is_empty()) {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    fn totals(
        &self,
        timeline: TimelineId,
        class: Class,
        after: ArrivalSeq,
    ) -> Result<TransferTotals, ReplicaError> {
        let mut totals = TransferTotals::default();
        for entry in self.of(timeline, class, after) {
            totals.envelopes += 1;
            totals.bytes += entry.envelope.bytes().len() as u64;
        }
        Ok(totals)
    }

    fn heights(&self, timeline: TimelineId) -> Result<Vec<AuthorHeight>, ReplicaError> {
        let mut heights = BTreeMap::new();
        for entry in Class::ALL
            .into_iter()
            .flat_map(|c| self.of(timeline, c, ArrivalSeq(0)))
        {
            let prefix = entry.envelope.prefix();
            let height = AuthorHeight {
                author: prefix.author,
                seq: prefix.seq,
                id: entry.envelope.id(),
            };
            let highest = heights.entry(prefix.author).or_insert(height);
            if height.seq > highest.seq {
                *highest = height;
            }
        }
        Ok(heights.into_values().collect())
    }

    fn judge(
        &self,
        timeline: TimelineId,
        author: &AuthorKey,
        right: Rights,
        _at: UnixMillis,
    ) -> Result<Verdict, ReplicaError> {
        if !self.rights.keys().any(|(known, _)| *known == timeline) {
            return Ok(Verdict::UnknownTimeline);
        }
        Ok(match self.rights.get(&(timeline, *author)) {
            Some(rights) if rights.contains(right) => {
                Verdict::Permitted(PrincipalKey::from_bytes(*author.as_bytes()))
            }
            Some(_) | None => Verdict::Refused(Refusal::NotGranted),
        })
    }
}
