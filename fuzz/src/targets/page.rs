//! A page of any bytes, hot and cold: refused, or as many values as minutes.

use hotstove::internals::codec::{ColdMeta, Family, Page, decode, decode_range, encode};

pub fn run(input: &[u8]) {
    let Some((split, bytes)) = input.split_first() else {
        return;
    };
    let split = usize::from(*split).min(bytes.len());
    for family in [Family::Integer, Family::Float] {
        let cold = ColdMeta::parse(&bytes[..split], family).ok();
        let mut page = Page::new(family);
        if decode(&bytes[split..], family, cold.as_ref(), &mut page).is_ok() {
            assert_eq!(page.presence.count(), page.column.len());
            let mut again = Vec::new();
            encode(&page, &mut again);
            let mut back = Page::new(family);
            decode(&again, family, None, &mut back).expect("what was encoded is decoded");
            assert!(back.same_bits(&page));
        }
        let _ = decode_range(&bytes[split..], family, cold.as_ref(), 60..120, &mut page);
    }
}
