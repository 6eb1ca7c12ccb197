//! The audit log: one checksummed record an override. `docs/format/audit.md`.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::format::checksum::bound_crc;

/// The file's name.
pub const FILE: &str = "audit.log";
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4_096;
/// The first bytes of every record.
pub const MAGIC: [u8; 4] = [0xf5, b'h', b'a', 0x0a];
const RECORD_BYTES_MAX: usize = 1 << 20;

/// One decision metric read before its window was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The minute it happened, as the caller told it.
    pub at: u32,
    /// The release and the metric read, as asked for.
    pub release: String,
    /// The metric.
    pub metric: String,
    /// Why, in the words of who did it.
    pub reason: String,
}

impl Override {
    /// Appends the record: magic, length, checksum, then the fields. Records
    /// are not bound to an offset: several processes append to one file.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        put::varint(&mut payload, self.at.into());
        put::string(&mut payload, &self.release);
        put::string(&mut payload, &self.metric);
        put::string(&mut payload, &self.reason);
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&bound_crc(0, payload.len() as u64, &payload).to_le_bytes());
        out.extend_from_slice(&payload);
        out
    }

    /// Reads the record at the front of `bytes` and the bytes it took.
    pub fn decode(bytes: &[u8]) -> Result<(Override, usize)> {
        let mut cursor = Cursor::new(bytes);
        cursor.require(bytes.starts_with(&MAGIC), "no record starts here");
        cursor.take(4);
        let length = cursor.u32() as usize;
        cursor.require(
            length <= RECORD_BYTES_MAX,
            "a record larger than any that is written",
        );
        let crc = cursor.u32();
        let payload = cursor.take(length);
        cursor.check()?;
        if bound_crc(0, length as u64, payload) != crc {
            return Err(Corrupt::new(0, "the record's checksum does not match"));
        }
        let mut fields = Cursor::new(payload);
        let record = Override {
            at: fields.length(u32::MAX as usize) as u32,
            release: fields.string(RECORD_BYTES_MAX).to_owned(),
            metric: fields.string(RECORD_BYTES_MAX).to_owned(),
            reason: fields.string(RECORD_BYTES_MAX).to_owned(),
        };
        fields.finish()?;
        Ok((record, cursor.position()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_prefix_is_found() {
        let record = Override {
            at: 29_922_401,
            release: "a".into(),
            metric: "uri_count".into(),
            reason: "the chief asked".into(),
        };
        let bytes = record.encode();
        assert_eq!(Override::decode(&bytes), Ok((record, bytes.len())));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Override::decode(&bytes).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Override::decode(&bytes[..cut]).is_err());
        }
    }
}
