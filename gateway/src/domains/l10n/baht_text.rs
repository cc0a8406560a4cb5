//! Amounts in Thai words, as receipts and cheques have them.

use super::Satang;

const DIGITS: [&str; 10] = [
    "ศูนย์",
    "หนึ่ง",
    "สอง",
    "สาม",
    "สี่",
    "ห้า",
    "หก",
    "เจ็ด",
    "แปด",
    "เก้า",
];

/// From the hundred thousands down to the ones.
const PLACES: [(u64, &str); 6] = [
    (100_000, "แสน"),
    (10_000, "หมื่น"),
    (1_000, "พัน"),
    (100, "ร้อย"),
    (10, "สิบ"),
    (1, ""),
];

const MILLION: u64 = 1_000_000;

impl Satang {
    /// `หนึ่งร้อยบาทถ้วน`, `สามพันหกร้อยสี่สิบเก้าบาทยี่สิบสองสตางค์`.
    #[must_use]
    pub fn baht_text(self) -> String {
        let (baht, satang) = self.parts();
        let mut text = String::new();
        if self.0 < 0 {
            text.push_str("ลบ");
        }
        if baht > 0 || satang == 0 {
            text.push_str(&words(baht));
            text.push_str("บาท");
        }
        if satang == 0 {
            text.push_str("ถ้วน");
        } else {
            text.push_str(&words(satang));
            text.push_str("สตางค์");
        }
        text
    }
}

fn words(number: u64) -> String {
    if number == 0 {
        return DIGITS.first().copied().unwrap_or_default().to_owned();
    }
    let millions = number / MILLION;
    let mut text = String::new();
    // Millions of millions are said as such: ล้านล้าน.
    if millions > 0 {
        text.push_str(&words(millions));
        text.push_str("ล้าน");
    }
    for (size, place) in PLACES {
        let digit = number / size % 10;
        match (digit, size) {
            (0, _) => {}
            // One behind something larger.
            (1, 1) if number > 1 => text.push_str("เอ็ด"),
            (1, 10) => text.push_str(place),
            (2, 10) => text.push_str("ยี่สิบ"),
            _ => {
                let word = usize::try_from(digit).ok().and_then(|at| DIGITS.get(at));
                text.push_str(word.copied().unwrap_or_default());
                text.push_str(place);
            }
        }
    }
    text
}
