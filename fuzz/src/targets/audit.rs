//! A record of the audit log: refused, or read the same again.

use hotstove::internals::format::audit::{self, Override};

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    if let Ok((read, length)) = audit::Override::decode(bytes) {
        assert!(length <= bytes.len());
        let again: (Override, usize) = Override::decode(&read.encode()).expect("what was encoded");
        assert_eq!(again.0, read);
    }
}
