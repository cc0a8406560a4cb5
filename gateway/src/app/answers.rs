//! What callers hear of the driver.

use khlong_store::error::{EngineError, StoreError};

use super::handle::{AskError, Asked};
use crate::kernel::{Decided, KernelError};

/// Gives somebody's answer.
pub(super) fn answer(asked: Asked, with: Result<Decided, AskError>) {
    // The key is free before the answer is out: whoever has it may ask again at once.
    let Asked { answer, claim, .. } = asked;
    drop(claim);
    // Whoever asked may have gone away.
    let _ = answer.send(with);
}

/// What a caller hears of an error after which the kernel goes on.
pub(super) fn refusal(error: &KernelError) -> AskError {
    match error {
        KernelError::KeyReused { seq } => AskError::KeyReused { seq: *seq },
        KernelError::Unfit { .. } | KernelError::KernelsName => AskError::Unfit {
            reason: error.to_string(),
        },
        KernelError::Store(StoreError::Engine(EngineError::DiskFull { .. })) => AskError::DiskFull,
        KernelError::GroupFull | KernelError::NotFollowed | KernelError::Store(_) => AskError::Full,
        // The driver has ended; the clock was read with this very time before.
        KernelError::Clock { .. }
        | KernelError::Early { .. }
        | KernelError::Journal(_)
        | KernelError::Broken
        | KernelError::Behind { .. }
        | KernelError::Gone { .. }
        | KernelError::OtherJournal { .. }
        | KernelError::NoJournal
        | KernelError::Domains { .. }
        | KernelError::UnknownEntry { .. }
        | KernelError::Diverged { .. } => AskError::Stopped,
    }
}
