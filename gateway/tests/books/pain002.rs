//! What banks answer: which reports are read, and how everything else is refused.

use khlong_gateway::domains::books::payout::{StatusError, StatusReport};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn report(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt>{body}</CstmrPmtStsRpt></Document>"
    )
}

pub(crate) fn original(batch: u128, status: &str) -> String {
    format!("<OrgnlGrpInfAndSts><OrgnlMsgId>{batch:032x}</OrgnlMsgId>{status}</OrgnlGrpInfAndSts>")
}

pub(crate) fn of_payments(payments: &[(u128, &str)]) -> String {
    let payments: String = payments
        .iter()
        .map(|(id, status)| {
            format!(
                "<TxInfAndSts><StsId>x</StsId><OrgnlEndToEndId>{id:032X}</OrgnlEndToEndId><TxSts>{status}</TxSts><StsRsnInf><Rsn><Cd>AC01</Cd></Rsn><AddtlInf>closed &amp; gone</AddtlInf></StsRsnInf></TxInfAndSts>"
            )
        })
        .collect();
    format!("<OrgnlPmtInfAndSts>{payments}</OrgnlPmtInfAndSts>")
}

/// Why, as banks say it.
pub(crate) fn reason(code: &str) -> String {
    format!("<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>")
}

pub(crate) fn parse(text: &str) -> Result<StatusReport, StatusError> {
    StatusReport::parse(text.as_bytes())
}

#[test]
fn a_report_that_is_none_is_refused() {
    use StatusError as E;
    let id = original(5, "");
    assert!(parse(&report(&id)).is_ok());
    let other = report(&id).replace("pain.002.001", "pain.001.001");
    assert_eq!(parse(&other), Err(E::NotPain002));
    assert_eq!(parse("<a/>"), Err(E::NotPain002));
    assert_eq!(parse(""), Err(E::NotPain002));
    assert_eq!(parse(&report("")), Err(E::NoBatch));
    let foreign = "<OrgnlGrpInfAndSts><OrgnlMsgId>MSG-1</OrgnlMsgId></OrgnlGrpInfAndSts>";
    assert_eq!(parse(&report(foreign)), Err(E::NoBatch));
    assert_eq!(
        parse(&report(&(id.clone() + &id))),
        Err(E::Twice("OrgnlMsgId".into()))
    );
    let twice = id.clone() + &of_payments(&[(1, "ACSC"), (1, "RJCT")]);
    assert_eq!(parse(&report(&twice)), Err(E::Twice(format!("{:032x}", 1))));
    let unnamed =
        "<OrgnlPmtInfAndSts><TxInfAndSts><TxSts>ACSC</TxSts></TxInfAndSts></OrgnlPmtInfAndSts>";
    assert_eq!(parse(&report(&(id.clone() + unnamed))), Err(E::Unnamed));
    let entity = format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", report(&id));
    assert_eq!(parse(&entity), Err(E::DocumentType));
    assert_eq!(parse(&report(&"<a>".repeat(100))), Err(E::TooMany));
    assert_eq!(StatusReport::parse(&[b'<', 0xff]), Err(E::NotUtf8));
    assert_eq!(
        StatusReport::parse(&vec![b' '; 17_000_000]),
        Err(E::TooLarge)
    );
    let whole = report(&id);
    for end in 1..whole.len() - 1 {
        assert!(parse(&whole[..end]).is_err(), "{end}");
    }
    let second =
        format!("{whole}<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"/>");
    assert_eq!(parse(&second), Err(E::NotPain002));
    // Names that are in no message, and a namespace that only another attribute names.
    let name = "n".repeat(64);
    assert!(parse(&report(&format!("{id}<{name}/>"))).is_ok());
    let longer = report(&format!("{id}<{name}n/>"));
    assert_eq!(parse(&longer), Err(E::LongName));
    let elsewhere = whole.replace("xmlns=", "xmlns=\"urn:a\" id=");
    assert_eq!(parse(&elsewhere), Err(E::NotPain002));
    // A prefix is as good as none.
    let prefixed = whole
        .replace("<", "<p:")
        .replace("<p:/", "</p:")
        .replace("<p:?", "<?")
        .replace("xmlns=", "xmlns:p=");
    assert_eq!(parse(&prefixed).unwrap().batch, 5);
}

/// Work that grows by the square of what a bank sends: names in each other, and attributes.
#[test]
fn a_report_of_the_largest_size_is_refused_or_read_in_its_own_time() {
    let names = format!("<{}>", "n".repeat(64)).repeat(30);
    let ends = names.replace('<', "</");
    let many = "<a/>".repeat(500_000);
    let body = original(5, "") + &names + &many + &ends;
    assert_eq!(parse(&report(&body)).unwrap().batch, 5);
    let attributes: String = (0..300_000).map(|n| format!(" a{n}=\"\"")).collect();
    let text = report(&original(5, "")).replace("<Document", &format!("<Document{attributes}"));
    assert_eq!(parse(&text).unwrap().batch, 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_report_makes_it_panic(bytes in vec(any::<u8>(), 0..200), body in "[<>/&;#xA-Za-z0-9 \"!?=\\[\\]-]{0,120}") {
        let _ = StatusReport::parse(&bytes);
        let _ = parse(&report(&(original(5, "") + &body)));
    }
}
