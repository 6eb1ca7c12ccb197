//! What a block keeps for its cold pages, and a page that needs it.

use hotstove::internals::codec::{ColdMeta, Family, Page, decode};

/// A whole day, in the cold layout.
const WHOLE: u8 = 1;

pub fn run(input: &[u8]) {
    let Some((split, bytes)) = input.split_first() else {
        return;
    };
    let (meta, page) = bytes.split_at(usize::from(*split).min(bytes.len()));
    for family in [Family::Integer, Family::Float] {
        let Ok(meta) = ColdMeta::parse(meta, family) else {
            continue;
        };
        for tag in 0..16 {
            let mut bytes = vec![WHOLE | tag << 4];
            bytes.extend_from_slice(page);
            let mut page = Page::new(family);
            if decode(&bytes, family, Some(&meta), &mut page).is_ok() {
                assert_eq!(page.presence.count(), page.column.len());
            }
        }
    }
}
