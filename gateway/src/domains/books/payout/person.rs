//! What a person says of a batch where no report tells: the bank refused a payment as a duplicate, lost the file, or
//! was asked by telephone. Holds of a batch are settled through the books alone, so this is the way to settle those.

use std::collections::BTreeMap;

use super::pain002::{PaymentStatus, StatusReport};
use super::{PAYOUTS_MAX, PayoutError};

impl StatusReport {
    /// Which payments the bank made, and which it did not and will not make. All others wait.
    ///
    /// # Errors
    /// [`PayoutError::Named`] if none is named, or too many; [`PayoutError::Twice`].
    pub fn of_person(batch: u128, paid: &[u128], returned: &[u128]) -> Result<Self, PayoutError> {
        let found = paid.len().saturating_add(returned.len());
        if found == 0 || found > PAYOUTS_MAX {
            return Err(PayoutError::Named { found });
        }
        let paid = paid.iter().map(|hold| (*hold, PaymentStatus::Paid));
        let returned = returned.iter().map(|hold| (*hold, PaymentStatus::Rejected));
        let mut payments = BTreeMap::new();
        for (transfer, status) in paid.chain(returned) {
            let name = format!("{transfer:032x}");
            if payments.insert(name, status).is_some() {
                return Err(PayoutError::Twice { transfer });
            }
        }
        Ok(Self::unwritten(batch, payments))
    }
}
