//! A segment's header, trailer and directory.

use bytes::Bytes;
use hotstove::internals::codec::cursor::Cursor;
use hotstove::internals::format::directory::Directory;
use hotstove::internals::format::header::Header;
use hotstove::internals::format::segment_meta::SegmentMeta;
use hotstove::internals::format::trailer::Trailer;

pub fn run(input: &[u8]) {
    super::without_checksums();
    let Some((which, bytes)) = input.split_first() else {
        return;
    };
    let _ = Header::decode(bytes);
    for offset in [0, 64, 4_096] {
        if let Ok((trailer, layout)) = Trailer::decode(bytes, offset) {
            assert_eq!(trailer.layout(), Some(layout));
        }
    }
    let mut cursor = Cursor::new(bytes);
    let _ = SegmentMeta::decode(&mut cursor);
    let complete = which % 2 == 0;
    let names = [usize::from(*which), 4, 4];
    let directory = Directory::new(
        Bytes::copy_from_slice(bytes),
        3,
        names,
        64..1 << 20,
        complete,
    );
    let Ok(directory) = directory else { return };
    for index in 0..directory.len() {
        let key = directory.key(index).expect("an entry");
        assert_eq!(directory.partition(|own| own < key), index);
        assert!(directory.get(index).is_some());
    }
}
