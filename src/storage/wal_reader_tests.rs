//! What the reader of a log makes of bytes that are not what was written: whether
//! they were durable is told by frames that come later, wherever they are.

use super::disk::{Disk, Open};
use super::sim_disk::SimDisk;
use super::wal_reader::{Step, WalReader};
use crate::format::wal::{FRAME_HEADER_BYTES, HEADER_BYTES, Header, file_name, put_frame, salt};

const HEADER: Header = Header {
    store_id: 7,
    wal_id: 3,
    first_sequence: 1,
    previous_bytes: 0,
};
const FIRST: u64 = HEADER_BYTES as u64;

/// A log of frames, each a payload and what it says was synced, and where they end.
fn log(frames: &[(&[u8], u64)]) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = HEADER.encode().to_vec();
    let mut ends = Vec::new();
    for (sequence, (payload, durable)) in (1..).zip(frames) {
        let offset = bytes.len() as u64;
        let salt = salt(HEADER.store_id, HEADER.wal_id);
        put_frame(&mut bytes, salt, offset, sequence, *durable, payload);
        ends.push(bytes.len() as u64);
    }
    (bytes, ends)
}

/// One step of a reading, without the payloads.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Frame(u64),
    Damage(u64, u64),
    Torn(u64, u64),
}

fn told(bytes: &[u8], sealed: Option<u64>) -> Vec<Told> {
    let disk = SimDisk::new(1);
    let file = disk.open(&file_name(HEADER.wal_id), Open::Create).unwrap();
    file.write_at(0, bytes).unwrap();
    let mut reader = WalReader::open(&disk, HEADER.store_id, HEADER.wal_id, sealed).unwrap();
    let mut steps = Vec::new();
    loop {
        steps.push(match reader.next_step().unwrap() {
            Step::Frame { sequence, .. } => Told::Frame(sequence),
            Step::Damage { from, to, .. } => Told::Damage(from, to),
            Step::Torn { from, bytes } => Told::Torn(from, bytes),
            Step::End => return steps,
        });
    }
}

#[test]
fn a_frame_long_after_tells_that_bad_bytes_were_durable() {
    // Buffered: three frames were written before a sync was noted by the fourth.
    let payload: &[u8] = b"payload";
    let end = FIRST + (FRAME_HEADER_BYTES + payload.len()) as u64;
    let frames = [
        (payload, FIRST),
        (payload, FIRST),
        (payload, FIRST),
        (payload, end),
    ];
    let (mut bytes, ends) = log(&frames);
    assert_eq!(ends[0], end);
    bytes[FIRST as usize + FRAME_HEADER_BYTES] ^= 1;
    let all = [Told::Frame(2), Told::Frame(3), Told::Frame(4)];
    let mut wanted = vec![Told::Damage(FIRST, ends[0])];
    wanted.extend(all);
    assert_eq!(told(&bytes, None), wanted);
    // Where another one between them is damaged, too.
    bytes[ends[1] as usize + FRAME_HEADER_BYTES] ^= 1;
    assert_eq!(
        told(&bytes, None)[..2],
        [Told::Damage(FIRST, ends[0]), Told::Frame(2)]
    );
}

#[test]
fn what_is_synced_ends_where_it_ends() {
    let payload: &[u8] = b"payload";
    let length = (FRAME_HEADER_BYTES + payload.len()) as u64;
    for (durable, damaged) in [(FIRST, false), (FIRST + length, true)] {
        let (mut bytes, ends) = log(&[(payload, FIRST), (payload, durable)]);
        bytes[FIRST as usize] ^= 1;
        let wanted = match damaged {
            true => vec![Told::Damage(FIRST, ends[0]), Told::Frame(2)],
            false => vec![Told::Torn(FIRST, 2 * length)],
        };
        assert_eq!(told(&bytes, None), wanted);
        // The last frame of the two is itself what nobody vouches for.
        let (mut bytes, ends) = log(&[(payload, FIRST), (payload, durable)]);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let torn = vec![Told::Frame(1), Told::Torn(ends[0], length)];
        assert_eq!(told(&bytes, None), torn);
        // Unless the log is sealed.
        let damage = vec![Told::Frame(1), Told::Damage(ends[0], ends[1])];
        assert_eq!(told(&bytes, Some(ends[1])), damage);
    }
}

#[test]
fn zeros_ahead_are_no_torn_frame_and_torn_ones_are_measured_without_them() {
    let (mut bytes, ends) = log(&[(b"payload", FIRST), (b"payload", FIRST)]);
    // More of them than is read at once.
    bytes.resize(bytes.len() + (600 << 10), 0);
    assert_eq!(told(&bytes, None), [Told::Frame(1), Told::Frame(2)]);
    let end = ends[1] as usize;
    bytes[end - 3..end].fill(0);
    let torn = Told::Torn(ends[0], ends[1] - 3 - ends[0]);
    assert_eq!(told(&bytes, None), [Told::Frame(1), torn]);
    // One byte far behind is of what was written.
    let far = bytes.len() - 5;
    bytes[far] = 1;
    let torn = Told::Torn(ends[0], far as u64 + 1 - ends[0]);
    assert_eq!(told(&bytes, None), [Told::Frame(1), torn]);
}

#[test]
fn the_next_good_frame_is_found_wherever_it_starts() {
    // The search reads 256 KiB at a time; the frame's first bytes lie across the edge
    // of that, begin at it, and end at it.
    let window = 256 << 10;
    for shift in -6_i64..=40 {
        let long = (window + 1 - FRAME_HEADER_BYTES as i64 - shift) as usize;
        let payload = vec![b'x'; long];
        let end = FIRST + (FRAME_HEADER_BYTES + long) as u64;
        let (mut bytes, ends) = log(&[(&payload, FIRST), (b"second", end), (b"third", end)]);
        assert_eq!(ends[0], end);
        bytes[FIRST as usize + FRAME_HEADER_BYTES + 5] ^= 1;
        let wanted = [Told::Damage(FIRST, end), Told::Frame(2), Told::Frame(3)];
        assert_eq!(told(&bytes, None), wanted, "{shift}");
    }
    // Behind a frame's first bytes without a frame, and at the very end of the log.
    let (mut bytes, ends) = log(&[(b"a frame that is none: \xf5hs\n", FIRST), (b"", FIRST + 1)]);
    bytes[FIRST as usize + 5] ^= 1;
    assert_eq!(
        told(&bytes, None),
        [Told::Damage(FIRST, ends[0]), Told::Frame(2)]
    );
}

#[test]
fn frames_larger_than_what_is_read_at_once_are_whole() {
    let payload: Vec<u8> = (0..700_000_u32).map(|at| (at * 31 / 7) as u8).collect();
    let (bytes, ends) = log(&[(b"a", FIRST), (&payload, FIRST), (b"b", FIRST)]);
    let disk = SimDisk::new(1);
    let file = disk.open(&file_name(HEADER.wal_id), Open::Create).unwrap();
    file.write_at(0, &bytes).unwrap();
    let mut reader = WalReader::open(&disk, HEADER.store_id, HEADER.wal_id, None).unwrap();
    for wanted in [b"a", &payload[..], b"b"] {
        let Step::Frame { payload, .. } = reader.next_step().unwrap() else {
            panic!("a frame is missing");
        };
        assert!(payload == wanted);
    }
    assert_eq!(reader.next_step().unwrap(), Step::End);
    assert_eq!(reader.offset(), ends[2]);
}
