//! Every column codec by its tag behind every form of presence, so that each
//! gets its share: packed, frames, deltas, sparse, wide, decimal and raw floats.
//! What is decoded is encoded and decoded again, and a part of it is the same
//! as that part of the whole.

use hotstove::internals::codec::{Family, Page, decode, decode_range, encode};

pub fn run(input: &[u8]) {
    let [tags, from, to, bytes @ ..] = input else {
        return;
    };
    let mut page = vec![*tags];
    page.extend_from_slice(bytes);
    for family in [Family::Integer, Family::Float] {
        let mut whole = Page::new(family);
        let decoded = decode(&page, family, None, &mut whole);
        let range = u16::from(*from) * 5..u16::from(*to) * 6;
        let mut part = Page::new(family);
        let partly = decode_range(&page, family, None, range.clone(), &mut part);
        if decoded.is_err() {
            continue;
        }
        assert_eq!(whole.presence.count(), whole.column.len());
        let mut again = Vec::new();
        encode(&whole, &mut again);
        let mut back = Page::new(family);
        decode(&again, family, None, &mut back).expect("what was encoded is decoded");
        assert!(back.same_bits(&whole));
        if range.start <= range.end {
            partly.expect("a part of what is sound");
            let wanted = whole
                .presence
                .iter()
                .filter(|minute| range.contains(minute))
                .count();
            assert_eq!(part.presence.count(), wanted);
            assert_eq!(part.column.len(), wanted);
        }
    }
}
