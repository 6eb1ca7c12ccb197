//! The writing half of [`super::cursor`]: little-endian values and varints
//! appended to a byte vector.

/// Appends an unsigned LEB128 varint: 1 to 10 bytes.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an unsigned LEB128 varint: 1 to 19 bytes.
pub fn varint128(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`varint`] takes for a value.
pub fn varint_bytes(value: u64) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

/// Bytes that [`zigzag`] takes for a value.
pub fn zigzag_bytes(value: i64) -> usize {
    varint_bytes(((value << 1) ^ (value >> 63)) as u64)
}

/// Appends a zigzag varint: small magnitudes of either sign stay short.
pub fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a zigzag varint of up to 128 bits.
pub fn zigzag128(out: &mut Vec<u8>, value: i128) {
    varint128(out, ((value << 1) ^ (value >> 127)) as u128);
}

/// Bytes that [`zigzag128`] takes for a value.
pub fn zigzag128_bytes(value: i128) -> usize {
    let zigzag = ((value << 1) ^ (value >> 127)) as u128;
    (zigzag | 1).ilog2() as usize / 7 + 1
}

/// Appends a string: its length as a varint, then its bytes.
pub fn string(out: &mut Vec<u8>, value: &str) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}
