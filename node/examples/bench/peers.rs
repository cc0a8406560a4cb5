//! Khlong beside its peers: who is measured in turn, and by how much they differ.

use std::path::Path;
use std::process::Command;

use crate::figures::Figures;
use crate::processes::{Failure, run};
use crate::side::Contender;
use crate::{fanout, ingest, nats};

/// Khlong, and each peer whose program is given. A program that does not run fails the command.
pub(crate) fn contenders(nats_server: Option<&Path>) -> Result<Vec<Contender>, Failure> {
    let mut contenders = vec![Contender::Khlong];
    if let Some(program) = nats_server {
        let version = run(Command::new(program).arg("--version"))
            .map_err(|error| format!("the peer NATS is missing: {error}"))?;
        eprintln!("bench: {}", version.trim());
        for fsync in [nats::Fsync::Always, nats::Fsync::Lazy] {
            contenders.push(Contender::Nats(program.to_owned(), fsync));
        }
    }
    Ok(contenders)
}

/// Adds how many times a peer's figure Khlong reached, run by run.
pub(crate) fn ratios(contenders: &[Contender], figures: &mut Figures) {
    let peers = contenders
        .iter()
        .filter(|contender| matches!(contender, Contender::Nats(..)));
    for peer in peers {
        for (writers, messages) in ingest::CASES {
            let name = |contender: &Contender| ingest::name(contender, writers, messages);
            ratio(figures, peer, "envelopes", name);
        }
        for (subscribers, messages) in fanout::CASES {
            let name = |contender: &Contender| fanout::name(contender, subscribers, messages);
            ratio(figures, peer, "deliveries", name);
        }
    }
}

fn ratio(figures: &mut Figures, peer: &Contender, what: &str, name: impl Fn(&Contender) -> String) {
    let samples = |contender: &Contender| figures.samples(&format!("{}: {what}", name(contender)));
    let (Some(ours), Some(theirs)) = (samples(&Contender::Khlong), samples(peer)) else {
        return;
    };
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    for ratio in ratios {
        let name = format!("Khlong / {}: {what}", name(peer));
        figures.add(name, "times", ratio);
    }
}
