//! Manifest, published record, audit record and log header of any bytes.

use hotstove::internals::format::{audit, manifest, published, wal};

pub fn run(bytes: &[u8]) {
    if let Ok((read, None)) = manifest::Manifest::decode(bytes) {
        assert_eq!(manifest::Manifest::decode(&read.encode()), Ok((read, None)));
    }
    let _ = published::Published::decode(bytes);
    let _ = audit::Override::decode(bytes);
    let _ = wal::Header::decode(bytes, 1);
    let _ = wal::FrameHeader::decode(bytes, 1, 64);
}
