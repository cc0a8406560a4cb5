//! Payloads written and read a second, and codes drawn.

use std::hint::black_box;
use std::time::Instant;

use khlong_gateway::domains::l10n::Satang;
use khlong_gateway::domains::promptpay::{
    Initiation, LocalNames, Payload, Picture, Recipient, Slip,
};

use super::Failure;
use super::figures::Figures;

const PAYLOADS: u32 = 100_000;
const PICTURES: u32 = 1_000;

pub(super) fn measure(figures: &mut Figures) -> Result<(), Failure> {
    let mut plain = Payload::to(Recipient::Mobile("0812345678".parse()?));
    plain.initiation = Initiation::Dynamic;
    plain.amount = Some(Satang(5_000));
    let mut thai = plain.clone();
    thai.name = Some("Noodle boat".to_owned());
    thai.city = Some("Ayutthaya".to_owned());
    thai.local = Some(LocalNames::thai("ก๋วยเตี๋ยวเรือ", Some("อยุธยา".to_owned())));
    for (name, payload) in [("promptpay", &plain), ("promptpay, Thai names", &thai)] {
        let text = payload.encode()?;
        let encoded = rate(PAYLOADS, || Ok(black_box(payload).encode()?))?;
        figures.add(format!("{name}: encode"), "/s", encoded);
        let decoded = rate(PAYLOADS, || Ok(Payload::decode(black_box(&text))?))?;
        figures.add(format!("{name}: decode"), "/s", decoded);
    }
    let slip = Slip::new("014", "00111222233344ABCD12").encode()?;
    let decoded = rate(PAYLOADS, || Ok(Slip::decode(black_box(&slip))?))?;
    figures.add("slip: decode".to_owned(), "/s", decoded);

    let text = plain.encode()?;
    let drawn = rate(PICTURES, || Ok(Picture::of(black_box(&text))?))?;
    figures.add("promptpay: QR code".to_owned(), "/s", drawn);
    let picture = Picture::of(&text)?;
    let png = rate(PICTURES, || Ok(black_box(&picture).png()?))?;
    figures.add("promptpay: PNG of a code".to_owned(), "/s", png);
    Ok(())
}

/// How often a second, on one core.
fn rate<T>(times: u32, mut once: impl FnMut() -> Result<T, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    for _ in 0..times {
        black_box(once()?);
    }
    Ok(f64::from(times) / start.elapsed().as_secs_f64())
}
