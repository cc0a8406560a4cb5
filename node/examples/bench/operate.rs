//! What an operator sees: memory of a relay, idle connections, how long a restart takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use khlong_crdt::admission::TimelineKind;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use crate::figures::Figures;
use crate::memory::{MIB, resident_bytes_of};
use crate::processes::Failure;
use crate::sealed::Writer;
use crate::side::{Contender, Known, Side};

/// Small and `--full`.
const ENVELOPES: usize = 20_000;
const ENVELOPES_FULL: usize = 1_000_000;
const CONNECTIONS: usize = 500;
const CONNECTIONS_FULL: usize = 10_000;
/// Sealed and appended at a time, in appends of 64.
const PORTION: usize = 10_000;
const APPEND: usize = 64;
const APPENDS_AT_ONCE: usize = 2;
/// Of `/metrics`.
const OPEN: &str = "khlong_connections";

pub(crate) async fn measure(
    binaries: &Path,
    full: bool,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let (envelopes, connections) = if full {
        (ENVELOPES_FULL, CONNECTIONS_FULL)
    } else {
        (ENVELOPES, CONNECTIONS)
    };
    let side = Side::start(&Contender::Khlong, binaries).await?;
    let mut random = ChaCha20Rng::seed_from_u64(6);
    let mut writer = Writer::open(TimelineKind::Public, &mut random);

    let fresh = resident(&side)?;
    figures.add(
        "relay, nothing stored: memory".to_owned(),
        "MiB",
        fresh / MIB,
    );
    let mut mouths = side.mouths(std::slice::from_ref(&writer)).await?;
    let mut mouth = mouths.pop().ok_or("no writer")?;
    let ears = side
        .ears(connections, &writer, &Arc::new(Known::default()))
        .await?;
    let open = side.metric(OPEN).ok_or("the relay counts connections")?;
    if open < connections as u64 {
        return Err(format!("{open} of {connections} connections are open").into());
    }
    let each = (resident(&side)? - fresh) / connections as f64;
    figures.add(
        format!("relay, {connections} idle connections: memory of each"),
        "KiB",
        each / 1024.0,
    );
    drop(ears);

    let mut stored = 0;
    while stored < envelopes {
        let portion = PORTION.min(envelopes - stored);
        writer.seal(portion, 1, &mut random)?;
        let mut waiting = 0;
        for append in writer.envelopes.chunks(APPEND) {
            if waiting == APPENDS_AT_ONCE {
                mouth.acked().await?;
                waiting -= 1;
            }
            mouth.offer(append).await?;
            waiting += 1;
        }
        for _ in 0..waiting {
            mouth.acked().await?;
        }
        stored += portion;
    }
    let name = format!("relay, {envelopes} envelopes stored");
    figures.add(format!("{name}: memory"), "MiB", resident(&side)? / MIB);
    let begun = Instant::now();
    let (side, stopping) = side.restart()?;
    figures.add(
        format!("{name}: stop"),
        "ms",
        stopping.as_secs_f64() * 1_000.0,
    );
    let starting = begun.elapsed() - stopping;
    figures.add(
        format!("{name}: start to ready"),
        "ms",
        starting.as_secs_f64() * 1_000.0,
    );
    figures.add(
        format!("{name}: memory after the restart"),
        "MiB",
        resident(&side)? / MIB,
    );
    side.end()
}

fn resident(side: &Side) -> Result<f64, Failure> {
    let pid = side.pid().ok_or("the relay has a process")?;
    Ok(resident_bytes_of(pid)? as f64)
}
