//! Whole pages and blocks: every column in every shape of presence, there and
//! back, cut short and flipped.

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
