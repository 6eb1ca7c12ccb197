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

/// Most bytes a varint takes.
pub const VARINT_BYTES_MAX: usize = 10;

/// Writes what [`varint`] appends to the front of `place`, and may write over the
/// rest of it; says how many bytes it took. All groups at once: how many there are
/// is no branch, which would often be guessed wrong.
#[inline]
pub fn varint_in_place(place: &mut [u8; VARINT_BYTES_MAX], mut value: u64) -> usize {
    let bytes = varint_bytes(value);
    if let Some(first) = place.first_chunk_mut::<8>()
        && bytes <= 8
    {
        let more = 0x8080_8080_8080_8080 & ((1_u64 << (8 * (bytes - 1))) - 1);
        *first = (spread(value) | more).to_le_bytes();
        return bytes;
    }
    for byte in &mut place[..bytes - 1] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    place[bytes - 1] = value as u8;
    bytes
}

/// The lowest 56 bits as eight groups of 7, each in a byte.
fn spread(value: u64) -> u64 {
    let value = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let value = (value & 0x0000_3fff_0000_3fff) | (value & 0x0fff_c000_0fff_c000) << 2;
    (value & 0x007f_007f_007f_007f) | (value & 0x3f80_3f80_3f80_3f80) << 1
}

/// The inverse of [`spread`]; the highest bit of each byte is not looked at.
pub fn gather(groups: u64) -> u64 {
    let value = (groups & 0x007f_007f_007f_007f) | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
    let value = (value & 0x0000_3fff_0000_3fff) | (value & 0x3fff_0000_3fff_0000) >> 2;
    (value & 0x0fff_ffff) | (value & 0x0fff_ffff_0000_0000) >> 4
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
    varint_bytes(zigzagged(value))
}

/// Appends a zigzag varint: small magnitudes of either sign stay short.
pub fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, zigzagged(value));
}

/// The number that [`zigzag`] writes for a value.
pub fn zigzagged(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
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
