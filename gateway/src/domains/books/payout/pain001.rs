//! A batch as ISO 20022 CustomerCreditTransferInitiationV09 (pain.001.001.09): one group, one payment
//! information, a credit transfer for each payout. Elements in the order of the schema.

use std::io;

use jiff::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::batch::{Payout, PayoutBatch};
use super::text::Agent;
use crate::domains::books::amount::decimal;

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

/// The Bank of Thailand's numbers of banks, in the external code set of clearing systems.
const CLEARING_SYSTEM: &str = "THCBC";

type Xml = Writer<Vec<u8>>;

pub(super) fn write(batch: &PayoutBatch) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut document = BytesStart::new("Document");
    document.push_attribute(("xmlns", NAMESPACE));
    xml.write_event(Event::Start(document))?;
    within(&mut xml, "CstmrCdtTrfInitn", |xml| {
        group_header(xml, batch)?;
        within(xml, "PmtInf", |xml| payment_information(xml, batch))
    })?;
    xml.write_event(Event::End(BytesEnd::new("Document")))?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn group_header(xml: &mut Xml, batch: &PayoutBatch) -> io::Result<()> {
    within(xml, "GrpHdr", |xml| {
        text(xml, "MsgId", &format!("{:032x}", batch.id()))?;
        let created_at = Timestamp::from_millisecond(batch.created_at.0)
            .map_err(|_| io::Error::other("the time of the batch is none of our era"))?;
        text(xml, "CreDtTm", &created_at.to_string())?;
        totals(xml, batch)?;
        within(xml, "InitgPty", |xml| {
            text(xml, "Nm", batch.debtor.name.as_str())
        })
    })
}

fn payment_information(xml: &mut Xml, batch: &PayoutBatch) -> io::Result<()> {
    text(xml, "PmtInfId", &format!("{:032x}", batch.id()))?;
    text(xml, "PmtMtd", "TRF")?;
    totals(xml, batch)?;
    within(xml, "ReqdExctnDt", |xml| {
        text(xml, "Dt", &batch.execution.to_string())
    })?;
    within(xml, "Dbtr", |xml| {
        text(xml, "Nm", batch.debtor.name.as_str())
    })?;
    account(xml, "DbtrAcct", batch.debtor.account.as_str())?;
    agent(xml, "DbtrAgt", &batch.debtor.agent)?;
    for payout in &batch.payouts {
        within(xml, "CdtTrfTxInf", |xml| credit_transfer(xml, payout))?;
    }
    Ok(())
}

fn credit_transfer(xml: &mut Xml, payout: &Payout) -> io::Result<()> {
    let creditor = &payout.creditor;
    within(xml, "PmtId", |xml| {
        text(xml, "EndToEndId", &format!("{:032x}", payout.transfer))
    })?;
    within(xml, "Amt", |xml| {
        let mut amount = BytesStart::new("InstdAmt");
        amount.push_attribute(("Ccy", "THB"));
        xml.write_event(Event::Start(amount))?;
        xml.write_event(Event::Text(BytesText::new(&decimal(payout.satang, 2))))?;
        xml.write_event(Event::End(BytesEnd::new("InstdAmt")))
    })?;
    agent(xml, "CdtrAgt", &creditor.agent)?;
    within(xml, "Cdtr", |xml| text(xml, "Nm", creditor.name.as_str()))?;
    account(xml, "CdtrAcct", creditor.account.as_str())?;
    if let Some(remittance) = &creditor.remittance {
        within(xml, "RmtInf", |xml| text(xml, "Ustrd", remittance.as_str()))?;
    }
    Ok(())
}

/// Both say how many there are and what they come to: a bank refuses a file that was cut.
fn totals(xml: &mut Xml, batch: &PayoutBatch) -> io::Result<()> {
    text(xml, "NbOfTxs", &batch.payouts.len().to_string())?;
    text(xml, "CtrlSum", &decimal(batch.sum(), 2))
}

fn account(xml: &mut Xml, name: &str, number: &str) -> io::Result<()> {
    within(xml, name, |xml| {
        within(xml, "Id", |xml| {
            within(xml, "Othr", |xml| text(xml, "Id", number))
        })
    })
}

fn agent(xml: &mut Xml, name: &str, agent: &Agent) -> io::Result<()> {
    within(xml, name, |xml| {
        within(xml, "FinInstnId", |xml| match agent {
            Agent::Bic(bic) => text(xml, "BICFI", bic),
            Agent::Code(code) => within(xml, "ClrSysMmbId", |xml| {
                within(xml, "ClrSysId", |xml| text(xml, "Cd", CLEARING_SYSTEM))?;
                text(xml, "MmbId", code)
            }),
        })
    })
}

fn within(
    xml: &mut Xml,
    name: &str,
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.write_event(Event::Start(BytesStart::new(name)))?;
    inner(xml)?;
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn text(xml: &mut Xml, name: &str, value: &str) -> io::Result<()> {
    within(xml, name, |xml| {
        xml.write_event(Event::Text(BytesText::new(value)))
    })
}
