//! What to merge next: pure, from what the manifest says.
//!
//! Within a bucket segments are kept in the order of their sequences, since
//! gauges merge only over neighbours. Sizes are kept geometric: a segment is
//! merged with all that came after it once those together reach a fraction of
//! its size, so that every byte is rewritten a logarithmic number of times, and
//! a large cold segment is left alone until enough late data has come.

use std::ops::Range;

use crate::format::segment_meta::SegmentMeta;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};

/// A segment is merged once what follows it has this part of its bytes.
const FRACTION: u64 = 2;
/// Segments of one bucket that call for a merge whatever their sizes.
const SEGMENTS_MAX: usize = 12;
/// What people look at stays packed for speed: this many minutes back from the
/// newest minute of the store.
pub const HOT_MINUTES: u32 = 2 * MINUTES_PER_DAY;

/// A merge to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Segments to merge, neighbours within one bucket, by number.
    pub inputs: Vec<u64>,
    /// Days before this one are encoded densely.
    pub cold_before_day: u32,
}

/// The first day that stays packed, given the newest minute of the store.
pub fn cold_before_day(newest_minute: u32) -> u32 {
    newest_minute.saturating_sub(HOT_MINUTES) / MINUTES_PER_DAY
}

/// The next merge worth doing in passing, if any. `segments` are sorted by
/// bucket and sequence; those in `skip` are damaged and left alone.
pub fn choose(segments: &[SegmentMeta], skip: &[u64]) -> Option<Choice> {
    let newest = segments.iter().map(|meta| meta.last_minute).max()?;
    let cold = cold_before_day(newest);
    let candidate = |bucket: &[SegmentMeta]| {
        let from = run_to_merge(bucket)?;
        let inputs: Vec<u64> = bucket[from..].iter().map(|meta| meta.id).collect();
        // In passing nothing is encoded densely before its bucket is over:
        // it would only be taken apart again.
        let over = cold >= (bucket[0].bucket + 1) * (MINUTES_PER_BUCKET / MINUTES_PER_DAY);
        let cold_before_day = if over { cold } else { 0 };
        Some(Choice {
            inputs,
            cold_before_day,
        })
    };
    buckets(segments)
        .flat_map(|range| sound_runs(&segments[range], skip))
        .filter_map(candidate)
        .min_by_key(|choice| choice.inputs.len())
}

/// All merges that leave one segment a bucket, everything old encoded densely.
pub fn choose_all(segments: &[SegmentMeta], skip: &[u64]) -> Vec<Choice> {
    let Some(newest) = segments.iter().map(|meta| meta.last_minute).max() else {
        return Vec::new();
    };
    buckets(segments)
        .flat_map(|range| sound_runs(&segments[range], skip))
        .map(|run| Choice {
            inputs: run.iter().map(|meta| meta.id).collect(),
            cold_before_day: cold_before_day(newest),
        })
        .collect()
}

/// Ranges of segments of one bucket each.
fn buckets(segments: &[SegmentMeta]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    segments
        .chunk_by(|left, right| left.bucket == right.bucket)
        .map(move |chunk| {
            let range = start..start + chunk.len();
            start = range.end;
            range
        })
}

/// A bucket's segments between those that are left alone.
fn sound_runs<'a>(
    bucket: &'a [SegmentMeta],
    skip: &'a [u64],
) -> impl Iterator<Item = &'a [SegmentMeta]> {
    bucket
        .split(|meta| skip.contains(&meta.id))
        .filter(|run| !run.is_empty())
}

/// From which segment on a run is merged, if it is.
fn run_to_merge(run: &[SegmentMeta]) -> Option<usize> {
    if run.len() < 2 {
        return None;
    }
    let mut after = 0;
    let mut from = None;
    for (index, meta) in run.iter().enumerate().rev() {
        let rest = run.len() - 1 - index;
        if rest > 0 && after * FRACTION >= meta.bytes {
            from = Some(index);
        }
        after += meta.bytes;
    }
    from.or_else(|| (run.len() > SEGMENTS_MAX).then_some(run.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(id: u64, bucket: u32, bytes: u64) -> SegmentMeta {
        SegmentMeta {
            id,
            bucket,
            bytes,
            hash: 0,
            first_sequence: id,
            last_sequence: id,
            first_minute: bucket * MINUTES_PER_BUCKET,
            last_minute: bucket * MINUTES_PER_BUCKET,
            cells: 1,
            series: 1,
        }
    }

    fn inputs(segments: &[SegmentMeta], skip: &[u64]) -> Option<Vec<u64>> {
        choose(segments, skip).map(|choice| choice.inputs)
    }

    #[test]
    fn sizes_stay_geometric() {
        assert_eq!(inputs(&[], &[]), None);
        assert_eq!(inputs(&[meta(1, 0, 100)], &[]), None);
        assert_eq!(inputs(&[meta(1, 0, 100), meta(2, 0, 30)], &[]), None);
        assert_eq!(
            inputs(&[meta(1, 0, 100), meta(2, 0, 50)], &[]),
            Some(vec![1, 2])
        );
        let cascade = [meta(1, 0, 1_000), meta(2, 0, 100), meta(3, 0, 100)];
        assert_eq!(
            inputs(&cascade, &[]),
            Some(vec![2, 3]),
            "the large one is left alone"
        );
    }

    #[test]
    fn only_neighbours_of_one_bucket_are_merged() {
        let segments = [
            meta(1, 0, 100),
            meta(2, 0, 100),
            meta(3, 0, 100),
            meta(4, 1, 100),
        ];
        assert_eq!(inputs(&segments, &[2]), None);
        assert_eq!(inputs(&segments, &[1]), Some(vec![2, 3]));
        assert_eq!(inputs(&[meta(1, 0, 100), meta(2, 1, 100)], &[]), None);
    }

    #[test]
    fn days_two_before_the_newest_minute_are_cold() {
        let day = MINUTES_PER_DAY;
        for (newest, cold) in [
            (0, 0),
            (2 * day, 0),
            (3 * day - 1, 0),
            (3 * day, 1),
            (9 * day, 7),
        ] {
            assert_eq!(cold_before_day(newest), cold, "{newest}");
        }
        // In passing not before the bucket is over; when all is merged, at once.
        let mut segments = [meta(1, 0, 100), meta(2, 0, 100), meta(3, 1, 1)];
        let days = MINUTES_PER_BUCKET / day;
        for (minute, passing) in [((days + 2) * day - 1, 0), ((days + 2) * day, days)] {
            segments[2].last_minute = minute;
            assert_eq!(choose(&segments, &[]).unwrap().cold_before_day, passing);
            let all = choose_all(&segments, &[]);
            let told: Vec<_> = all.iter().map(|choice| choice.cold_before_day).collect();
            assert_eq!(told, [cold_before_day(minute); 2]);
        }
    }

    #[test]
    fn too_many_segments_are_merged_whatever_their_sizes() {
        let falling: Vec<_> = (0..13)
            .map(|id| meta(id, 0, 4_u64.pow(13 - id as u32)))
            .collect();
        assert!(inputs(&falling[..12], &[]).is_none());
        assert!(inputs(&falling, &[]).is_some());
    }

    #[test]
    fn a_write_is_rewritten_a_logarithmic_number_of_times() {
        let mut segments: Vec<SegmentMeta> = Vec::new();
        let mut written = 0;
        for id in 0..1_000 {
            segments.push(meta(id, 0, 10));
            while let Some(choice) = choose(&segments, &[]) {
                let first = segments
                    .iter()
                    .position(|meta| meta.id == choice.inputs[0])
                    .unwrap();
                let bytes = segments[first..].iter().map(|meta| meta.bytes).sum();
                let merged = SegmentMeta {
                    bytes,
                    ..segments[first]
                };
                written += bytes;
                segments.truncate(first);
                segments.push(merged);
            }
            assert!(segments.len() <= 12);
        }
        assert!(written < 10 * 1_000 * 12, "{written}");
    }
}
