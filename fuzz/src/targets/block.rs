//! A block of any bytes: its prefix, its header, every page in it.

use hotstove::internals::codec::{ColdMeta, Family, Page, decode};
use hotstove::internals::format::block::BlockHeader;
use hotstove::internals::format::block_prefix::{Place, Prefix};

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    let place = Place {
        segment_id: 7,
        offset: 64,
    };
    let _ = Prefix::decode(bytes, place);
    let Ok(header) = BlockHeader::decode(bytes, place) else {
        return;
    };
    let _ = header.entry(place, 3);
    for family in [Family::Integer, Family::Float] {
        let cold = ColdMeta::parse(header.cold_meta, family).ok();
        let mut page = Page::new(family);
        for index in 0..header.page_count() {
            let entry = header.page(index).expect("a page of the header");
            assert_eq!(header.page_of_day(entry.day), Some(index));
            if let Some(bytes) = bytes.get(entry.start..entry.end) {
                let _ = decode(bytes, family, cold.as_ref(), &mut page);
            }
        }
    }
}
