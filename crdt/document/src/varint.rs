//! Variable-length integers: LEB128, seven bits a byte, the lowest first. Only the shortest
//! form is read, so that a number has one spelling.

use khlong_crdt::reader::{Reader, Truncated};

/// Bytes of the longest, 64 bits.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

pub(crate) fn write(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// A signed number, zigzag: 0, -1, 1, -2, …
pub(crate) fn write_signed(out: &mut Vec<u8>, value: i64) {
    write(out, zigzag(value));
}

/// [`Truncated`] also for a longer form than needed, and for more than 64 bits.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<u64, Truncated> {
    let mut value = 0_u64;
    for place in 0..VARINT_BYTES_MAX {
        let byte = reader.u8()?;
        let bits = u64::from(byte & 0x7f);
        let is_last = place + 1 == VARINT_BYTES_MAX;
        if (byte == 0 && place > 0) || (is_last && byte > 1) {
            return Err(Truncated);
        }
        value |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Truncated)
}

pub(crate) fn read_signed(reader: &mut Reader<'_>) -> Result<i64, Truncated> {
    read(reader).map(unzigzag)
}

pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(read(&mut reader).unwrap(), value);
            assert!(reader.is_empty());
            for short in 0..bytes.len() {
                assert!(read(&mut Reader::new(bytes.get(..short).unwrap())).is_err());
            }
        }
        for longer in [
            &[0x80, 0][..],
            &[0xff, 0x80, 0],
            &[0xff; 11],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert!(read(&mut Reader::new(longer)).is_err(), "{longer:?}");
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
