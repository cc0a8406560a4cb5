//! The checksum at the end of every payload.

use crc::{CRC_16_IBM_3740, Crc};

/// CRC-16/CCITT-FALSE, which the catalogue of CRCs calls IBM-3740: polynomial 0x1021, begun with 0xFFFF.
const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Over the bytes up to and including tag and length of the checksum itself.
pub(super) fn checksum(text: &[u8]) -> u16 {
    CHECKSUM.checksum(text)
}

/// Hexadecimal in capitals, as all writers of these codes have it. Small letters are refused: one
/// letter whose case was changed would otherwise be a corruption that nothing notices.
pub(super) fn value(digits: &str) -> Option<u16> {
    let are_capitals = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    (are_capitals && matches!(digits.len(), 1..=4))
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn it_has_the_check_value_of_the_catalogue() {
        assert_eq!(checksum(b"123456789"), 0x29B1);
    }
}
