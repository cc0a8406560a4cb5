//! What is due by the clock: when, and for which domain.

use khlong_crdt::time::UnixMillis;

use super::Kernel;
use super::error::KernelError;

impl Kernel {
    /// The earliest of [`Self::deadlines`].
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn next_deadline(&self) -> Result<Option<UnixMillis>, KernelError> {
        let deadlines = self.deadlines()?;
        Ok(deadlines.into_iter().map(|(_, at)| at).min())
    }

    /// Which domains want a command of their own, and when; the driver then submits what
    /// [`Self::due`] gives.
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn deadlines(&self) -> Result<Vec<(u8, UnixMillis)>, KernelError> {
        if self.broken {
            return Err(KernelError::Broken);
        }
        let mut deadlines = Vec::new();
        for domain in &self.domains {
            if let Some(at) = domain.next_deadline(&self.store)? {
                deadlines.push((domain.number(), at));
            }
        }
        Ok(deadlines)
    }

    /// The domains whose deadline is not after `now`, each with the body of the command that it
    /// wants.
    ///
    /// # Errors
    /// From the disk; [`KernelError::Broken`].
    pub fn due(&self, now: UnixMillis) -> Result<Vec<(u8, Vec<u8>)>, KernelError> {
        let deadlines = self.deadlines()?;
        let is_due = |number| {
            let mut all = deadlines.iter();
            all.any(|(domain, at)| *domain == number && *at <= now)
        };
        let due = self
            .domains
            .iter()
            .filter(|domain| is_due(domain.number()))
            .filter_map(|domain| Some((domain.number(), domain.due()?)));
        Ok(due.collect())
    }
}
