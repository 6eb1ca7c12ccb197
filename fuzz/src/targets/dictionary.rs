//! The names of a segment: plain, and as a stored copy.

use hotstove::internals::format::dictionary::{Dictionary, Sort, plain};
use hotstove::internals::format::dictionary_copy::{EncodedDictionary, copy_length, decode_copy};

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    let _ = copy_length(bytes, 7, 64);
    let copy = decode_copy(bytes, 7, 64)
        .ok()
        .map(|(dictionary, _)| dictionary);
    for dictionary in [copy, Dictionary::from_plain(bytes).ok()]
        .into_iter()
        .flatten()
    {
        let sorts = [Sort::Release, Sort::Branch, Sort::Metric];
        let names = sorts.map(|sort| dictionary.names(sort));
        let plain = plain(&names).expect("what was read is within the limits");
        let encoded = EncodedDictionary::new(plain).at(7, 64);
        let (again, _) = decode_copy(&encoded, 7, 64).expect("what was encoded is decoded");
        for sort in [Sort::Release, Sort::Branch, Sort::Metric] {
            assert!(again.names(sort).eq(dictionary.names(sort)));
            for (index, name) in dictionary.names(sort).enumerate() {
                assert_eq!(dictionary.find(sort, name), Some(index as u32));
            }
        }
    }
}
