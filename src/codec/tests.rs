//! Whole pages and blocks: every column in every shape of presence, there and
//! back, cut short and flipped.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// Presence in the shapes that occur.
fn presence() -> impl Strategy<Value = Presence> {
    let ranged = |start: u16, end: u16| {
        let mut presence = Presence::new();
        presence.set_range(start..end);
        presence
    };
    let minutes = |count| proptest::collection::btree_set(0..MINUTES, count);
    prop_oneof![
        Just(ranged(0, MINUTES)),
        (0..MINUTES).prop_map(|minute| Presence::from_iter([minute])),
        (0..720_u16, 721..=MINUTES).prop_map(move |(start, end)| ranged(start, end)),
        minutes(1..40).prop_map(move |holes| {
            let mut presence = ranged(0, MINUTES);
            holes.into_iter().for_each(|minute| presence.unset(minute));
            presence
        }),
        minutes(1..40).prop_map(|minutes| minutes.into_iter().collect()),
        minutes(300..900).prop_map(|minutes| minutes.into_iter().collect()),
    ]
}

/// A page of any kind over `presence`, its values drawn from a wide or a
/// narrow range.
fn page_over(presence: Presence) -> impl Strategy<Value = Page> {
    let count = presence.count();
    let ints =
        (proptest::collection::vec(any::<i64>(), count), 0..64_u32).prop_map(|(values, shift)| {
            Column::Ints(values.iter().map(|value| value >> shift).collect())
        });
    let wides = (proptest::collection::vec(any::<i128>(), count), 0..100_u32).prop_map(
        |(values, shift)| Column::Wides(values.iter().map(|value| value >> shift).collect()),
    );
    let raw =
        proptest::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), count)
            .prop_map(Column::Floats);
    let grid = (proptest::collection::vec(any::<i16>(), count), 0..=9).prop_map(|(values, e)| {
        let power = 10_f64.powi(e);
        Column::Floats(
            values
                .iter()
                .map(|value| f64::from(*value) / power)
                .collect(),
        )
    });
    prop_oneof![ints, wides, raw, grid].prop_map(move |column| Page {
        presence: presence.clone(),
        column,
    })
}

fn page() -> impl Strategy<Value = Page> {
    presence().prop_flat_map(page_over)
}

fn family(page: &Page) -> Family {
    match page.column {
        Column::Floats(_) => Family::Float,
        _ => Family::Integer,
    }
}

fn other(family: Family) -> Family {
    match family {
        Family::Float => Family::Integer,
        Family::Integer => Family::Float,
    }
}

/// Equal to the last bit, minus zero and all.
fn same(a: &Page, b: &Page) -> bool {
    a == b && format!("{a:?}") == format!("{b:?}")
}

/// Checks that decoding `minutes` alone gives what lies there.
fn check_range(page: &Page, bytes: &[u8], cold: Option<&ColdMeta>, minutes: Range<u16>) {
    let mut out = Page::new(Family::Integer);
    decode_range(bytes, family(page), cold, minutes.clone(), &mut out).unwrap();
    let part = page.presence.rank(minutes.start)..page.presence.rank(minutes.end);
    let mut presence = page.presence.clone();
    presence.keep(minutes.clone());
    let column = match &page.column {
        Column::Wides(_) if part.is_empty() => Column::Ints(Vec::new()),
        Column::Ints(values) => Column::Ints(values[part].to_vec()),
        Column::Wides(values) => Column::Wides(values[part].to_vec()),
        Column::Floats(values) => Column::Floats(values[part].to_vec()),
    };
    let expected = Page { presence, column };
    assert!(same(&out, &expected), "{minutes:?}: {out:?} {expected:?}");
    let summary = sum_range(bytes, family(page), cold, minutes, &mut out).unwrap();
    assert_eq!(summary, summarize(&expected));
}

/// Decodes into a page that held something else before.
fn decoded(bytes: &[u8], family: Family, cold: Option<&ColdMeta>) -> cursor::Result<Page> {
    let mut out = Page {
        presence: Presence::from_iter([7]),
        column: Column::Ints(vec![7]),
    };
    let result = decode(bytes, family, cold, &mut out);
    assert_eq!(out.column.len(), out.presence.count());
    result.map(|()| out)
}

fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).flat_map(|at| {
        [0x01, 0x80].map(|flip| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= flip;
            bytes
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_page_round_trips(page in page()) {
        let mut bytes = vec![0xaa];
        encode(&page, &mut bytes);
        let bytes = &bytes[1..];
        let family = family(&page);
        prop_assert!(same(&decoded(bytes, family, None).unwrap(), &page));
        prop_assert!(decoded(bytes, other(family), None).is_err());
        let longer = [bytes, &[0]].concat();
        prop_assert!(decoded(&longer, family, None).is_err());
    }

    #[test]
    fn every_range_is_that_part_of_the_page(
        page in page(),
        start in 0..1_500_u16,
        length in 0..200_u16,
        whole: bool,
    ) {
        let minutes = start..if whole { u16::MAX } else { start + length };
        let mut bytes = Vec::new();
        encode(&page, &mut bytes);
        check_range(&page, &bytes, None, minutes.clone());
        if let Some(block) = cold::encode_together(&[&page]) {
            let meta = ColdMeta::parse(&block.meta, family(&page)).unwrap();
            check_range(&page, &block.pages[0], Some(&meta), minutes);
        }
    }

    #[test]
    fn every_summary_is_what_the_cells_say(page in page()) {
        let summary = summarize(&page);
        prop_assert_eq!(summary.cells as usize, page.presence.count());
        if let Column::Ints(values) = &page.column {
            prop_assert_eq!(summary.sum, values.iter().map(|v| i128::from(*v)).sum());
            prop_assert_eq!(Some(summary.min), values.iter().min().map(|v| i128::from(*v)));
            prop_assert_eq!(Some(summary.max), values.iter().max().map(|v| i128::from(*v)));
        }
    }

    #[test]
    fn any_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decoded(&bytes, Family::Integer, None);
        let _ = decoded(&bytes, Family::Float, None);
        let _ = ColdMeta::parse(&bytes, Family::Integer);
        let _ = ColdMeta::parse(&bytes, Family::Float);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn pages_cut_short_fail_and_flips_never_panic(page in page()) {
        let mut bytes = Vec::new();
        encode(&page, &mut bytes);
        for cut in 0..bytes.len() {
            prop_assert!(decoded(&bytes[..cut], family(&page), None).is_err(), "cut at {}", cut);
        }
        for bytes in flipped(&bytes) {
            let _ = decoded(&bytes, family(&page), None);
        }
    }
}

/// The examples of the specification: the kind and family behind the fence of
/// each, then its lines.
fn examples() -> Vec<(&'static str, Family, Vec<&'static str>)> {
    let document = include_str!("../../docs/format/codecs.md");
    let blocks = document.split("```hex ").skip(1);
    blocks
        .map(|block| {
            let mut lines = block.split("```").next().unwrap().lines();
            let (kind, family) = lines.next().unwrap().split_once(' ').unwrap();
            let family = match family {
                "integer" => Family::Integer,
                _ => Family::Float,
            };
            (kind, family, lines.collect())
        })
        .collect()
}

/// The bytes of a line such as `0e 00*3 ; remark`.
fn bytes_of(line: &str) -> Vec<u8> {
    let code = line.split(';').next().unwrap();
    code.split_whitespace()
        .flat_map(|token| {
            let (byte, count) = token.split_once('*').unwrap_or((token, "1"));
            vec![u8::from_str_radix(byte, 16).unwrap(); count.parse().unwrap()]
        })
        .collect()
}

/// The minutes and values of a line such as `= 5: 1, 2` or `= 5..9: 1`.
fn cells_of(line: &str) -> Vec<(u16, String)> {
    let (minutes, values) = line[1..].split_once(':').unwrap();
    let values: Vec<&str> = values.split(',').map(str::trim).collect();
    let minute = |text: &str| -> u16 { text.trim().parse().unwrap() };
    match minutes.split_once("..") {
        Some((first, end)) => (minute(first)..minute(end))
            .map(|minute| (minute, values[0].to_owned()))
            .collect(),
        None => (minute(minutes)..)
            .zip(values.into_iter().map(str::to_owned))
            .collect(),
    }
}

#[test]
fn the_examples_of_the_specification_decode() {
    let mut tags = std::collections::BTreeSet::new();
    for (kind, family, lines) in examples() {
        let (mut meta, mut bytes, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines {
            match line.get(..1) {
                Some("=") => cells.extend(cells_of(line)),
                Some("-") => meta = std::mem::take(&mut bytes),
                _ => bytes.extend(bytes_of(line)),
            }
        }
        let meta = (kind == "cold").then(|| ColdMeta::parse(&meta, family).unwrap());
        let page = decoded(&bytes, family, meta.as_ref()).unwrap();
        let values: Vec<String> = match &page.column {
            Column::Ints(values) => values.iter().map(|value| value.to_string()).collect(),
            Column::Wides(values) => values.iter().map(|value| value.to_string()).collect(),
            Column::Floats(values) => values.iter().map(|value| format!("{value:?}")).collect(),
        };
        let got: Vec<(u16, String)> = page.presence.iter().zip(values).collect();
        assert_eq!(got, cells, "{bytes:x?}");
        tags.extend([(0, bytes[0] & 0xf), (1, bytes[0] >> 4)]);
    }
    let all = (1..=6)
        .map(|form| (0, form))
        .chain((1..=9).map(|form| (1, form)));
    assert!(all.eq(tags), "an example of every form");
}
