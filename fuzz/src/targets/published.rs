//! The published record: refused, or read the same again.

use hotstove::internals::format::published::Published;

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    if let Ok(read) = Published::decode(bytes) {
        assert_eq!(Published::decode(&read.encode()), Ok(read));
    }
}
