//! A batch as CSV, for banks that take no XML: a header and a line a payment. What may stand in its texts
//! needs no quotes but for commas.

use super::batch::PayoutBatch;
use crate::domains::books::amount::decimal;

pub(super) const HEADER: &str =
    "batch,execution_date,end_to_end_id,amount,currency,name,account,bank,remittance";

pub(super) fn write(batch: &PayoutBatch) -> Vec<u8> {
    let mut text = format!("{HEADER}\r\n");
    let id = batch.id();
    for payout in &batch.payouts {
        let creditor = &payout.creditor;
        let remittance = creditor
            .remittance
            .as_ref()
            .map_or("", |text| text.as_str());
        text.push_str(&format!(
            "{id:032x},{},{:032x},{},THB,{},{},{},{}\r\n",
            batch.execution,
            payout.transfer,
            decimal(payout.satang, 2),
            quoted(creditor.name.as_str()),
            creditor.account.as_str(),
            creditor.agent.as_str(),
            quoted(remittance),
        ));
    }
    text.into_bytes()
}

/// A comma is the one separator that a text may hold.
fn quoted(text: &str) -> String {
    if text.contains(',') {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    }
}
