//! The header of a log, and frame after frame behind it.

use hotstove::internals::format::wal::{FrameHeader, Header, newer_version};

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    let _ = Header::decode(bytes, 1);
    let _ = newer_version(bytes, 1);
    let mut rest = bytes;
    while let Ok(frame) = FrameHeader::decode(rest, 1, 64) {
        let _ = frame.check(rest, 1, 64);
        match rest.get(32..) {
            Some(next) => rest = next,
            None => break,
        }
    }
}
