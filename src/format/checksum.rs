//! Checksums.

/// CRC-32 of `bytes` bound to where they belong: two 64-bit numbers such as a
/// file's salt and an offset come first, so that swapped or stale bytes are found.
pub fn bound_crc(owner: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&owner.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place);
    hasher.update(bytes);
    hasher.finalize()
}
