//! Definitions of metrics and releases within a manifest.
//! `docs/format/manifest.md`.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::limits::{MINUTE_END, NAME_BYTES_MAX};
use crate::model::{Branch, Kind, Metric, Minute, Name, Release, Role, Worse};

/// Appends a metric.
pub fn put_metric(out: &mut Vec<u8>, metric: &Metric) {
    put::string(out, &metric.name);
    let (code, decimals) = metric.kind.code();
    out.extend_from_slice(&[code, decimals]);
    put_option(out, metric.unit.as_deref(), put::string);
    put_option(out, metric.role, |out, role| out.push(role as u8 + 1));
    put_option(out, metric.worse, |out, worse| out.push(worse as u8 + 1));
    put_option(out, metric.per.as_deref(), put::string);
    put_option(out, metric.must_differ, put_f64);
    put_option(out, metric.burst_minutes, put_u32);
    put_option(out, metric.burst_events, put_u32);
    put_option(out, metric.independent, |out, flag| out.push(flag.into()));
}

/// Reads a metric.
pub fn take_metric(cursor: &mut Cursor<'_>) -> Result<Metric> {
    let name = take_name(cursor)?;
    let kind = Kind::from_code(cursor.u8(), cursor.u8());
    let Some(kind) = kind else {
        cursor.fail("a metric of an unknown kind");
        return Err(cursor
            .check()
            .err()
            .unwrap_or(Corrupt::new(0, "a metric of an unknown kind")));
    };
    let mut metric = Metric::new(name, kind);
    metric.unit = take_option_name(cursor)?;
    metric.role = take_option(cursor, |cursor| {
        take_word(
            cursor,
            &Role::ALL.map(|(role, _)| role),
            "a role this code does not know",
        )
    });
    metric.worse = take_option(cursor, |cursor| {
        take_word(
            cursor,
            &[Worse::Higher, Worse::Lower],
            "a direction this code does not know",
        )
    });
    metric.per = take_option_name(cursor)?;
    metric.must_differ = take_option(cursor, take_f64);
    metric.burst_minutes = take_option(cursor, take_u32);
    metric.burst_events = take_option(cursor, take_u32);
    metric.independent = take_option(cursor, |cursor| {
        let flag = cursor.u8();
        cursor.require(flag <= 1, "not a flag");
        flag == 1
    });
    cursor.check()?;
    Ok(metric)
}

/// Appends a release.
pub fn put_release(out: &mut Vec<u8>, release: &Release) {
    put::string(out, &release.name);
    put_option(out, release.public_from, |out, minute| {
        put::varint(out, minute.get().into())
    });
    put_option(out, release.control.as_deref(), put::string);
    put_option(out, release.decision_weeks, put_u32);
    put::varint(out, release.branches.len() as u64);
    for branch in &release.branches {
        put::string(out, &branch.name);
        put_option(out, branch.share, put_f64);
    }
}

/// Reads a release.
pub fn take_release(cursor: &mut Cursor<'_>) -> Result<Release> {
    let mut release = Release::new(take_name(cursor)?);
    release.public_from = take_option(cursor, take_minute);
    release.control = take_option_name(cursor)?;
    release.decision_weeks = take_option(cursor, take_u32);
    for _ in 0..cursor.length(cursor.remaining()) {
        let name = take_name(cursor)?;
        release
            .branches
            .push(Branch::new(name, take_option(cursor, take_f64)));
    }
    cursor.check()?;
    Ok(release)
}

/// Appends nothing, or a value, with a byte that says which.
pub fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl Fn(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

/// Reads what [`put_option`] wrote; failures stick to the cursor.
pub fn take_option<'a, T>(
    cursor: &mut Cursor<'a>,
    take: impl FnOnce(&mut Cursor<'a>) -> T,
) -> Option<T> {
    match cursor.u8() {
        0 => None,
        1 => Some(take(cursor)),
        _ => {
            cursor.fail("not a flag");
            None
        }
    }
}

fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn take_f64(cursor: &mut Cursor<'_>) -> f64 {
    let value = f64::from_bits(cursor.u64());
    cursor.require(value.is_finite(), "a value that is no number");
    value
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    put::varint(out, value.into());
}

fn take_u32(cursor: &mut Cursor<'_>) -> u32 {
    cursor.length(u32::MAX as usize) as u32
}

/// Reads a minute; failures stick to the cursor.
pub fn take_minute(cursor: &mut Cursor<'_>) -> Minute {
    Minute::clamped(cursor.length(MINUTE_END as usize) as u64)
}

/// Reads a name.
pub fn take_name(cursor: &mut Cursor<'_>) -> Result<Name> {
    let at = cursor.position();
    let text = cursor.string(NAME_BYTES_MAX);
    cursor.check()?;
    Name::new(text).map_err(|_| Corrupt::new(at, "a name that is none"))
}

fn take_option_name(cursor: &mut Cursor<'_>) -> Result<Option<Name>> {
    take_option(cursor, take_name).transpose()
}

/// One of several words, by its position from one; the first where it is none
/// of them, with the cursor failed.
fn take_word<T: Copy>(cursor: &mut Cursor<'_>, words: &[T], what: &'static str) -> T {
    let index = usize::from(cursor.u8()).wrapping_sub(1);
    cursor.require(index < words.len(), what);
    words[index.min(words.len() - 1)]
}
