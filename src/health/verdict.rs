//! Which verdict: pure choice, apart from what it is computed from.

use std::fmt;

/// What is said of a metric, a branch or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Not worse than tolerated, to the confidence asked for.
    Healthy,
    /// Worse than control.
    Regressed,
    /// Better than control.
    Improved,
    /// Not enough data to tell.
    Inconclusive,
    /// No data to tell from.
    NoData,
    /// A decision metric before its window is whole.
    Held,
    /// The release's checks alarm: nothing said of its metrics would be true.
    Invalid,
}

impl Verdict {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Regressed => "regressed",
            Verdict::Improved => "improved",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NoData => "no data",
            Verdict::Held => "held",
            Verdict::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is said of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckVerdict {
    /// Nothing wrong found.
    Healthy,
    /// It alarms.
    Invalid,
    /// Data are still to come.
    Incomplete,
    /// Not enough data to tell.
    Inconclusive,
    /// No data to tell from.
    NoData,
}

impl CheckVerdict {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckVerdict::Healthy => "healthy",
            CheckVerdict::Invalid => "invalid",
            CheckVerdict::Incomplete => "incomplete",
            CheckVerdict::Inconclusive => "inconclusive",
            CheckVerdict::NoData => "no data",
        }
    }
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a metric's verdict is chosen from, read so that more is worse.
#[derive(Clone, Copy, Debug, Default)]
pub struct Findings {
    /// A check of the release alarms.
    pub invalid: bool,
    /// A decision metric before its window.
    pub held: bool,
    /// Both arms have exposure, and there are events.
    pub data: bool,
    /// It came once and does not any more, or never did, while control's goes on.
    pub silent: bool,
    /// Whether the metric has a bad side.
    pub bad_side: bool,
    /// Evidence for "better" is at its threshold.
    pub better: bool,
    /// Evidence for "worse" is at its threshold, or was at an earlier look.
    pub worse: bool,
    /// The lower end of the sequence.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// The ratio tolerated.
    pub margin: f64,
}

/// The first verdict that holds.
pub fn choose(findings: &Findings) -> Verdict {
    let within = findings.upper.is_some_and(|upper| upper < findings.margin);
    let not_below = findings
        .lower
        .is_some_and(|lower| lower > 1.0 / findings.margin);
    match findings {
        it if it.invalid => Verdict::Invalid,
        it if it.held => Verdict::Held,
        it if !it.data => Verdict::NoData,
        // Silence can be harm, and is never good news.
        it if it.silent && !(it.bad_side && it.worse) => Verdict::NoData,
        // Either side may be the bad one.
        it if !it.bad_side && within && not_below => Verdict::Healthy,
        it if !it.bad_side => Verdict::Inconclusive,
        it if it.better => Verdict::Improved,
        _ if within => Verdict::Healthy,
        it if it.worse => Verdict::Regressed,
        _ => Verdict::Inconclusive,
    }
}

/// What the verdicts of parts say of the whole. Not enough data in one part is
/// not enough for the whole; a held part says nothing.
pub fn together(parts: impl Iterator<Item = Verdict>) -> Verdict {
    let parts: Vec<Verdict> = parts.collect();
    let any = |verdict| parts.contains(&verdict);
    let said = [Verdict::Inconclusive, Verdict::Improved, Verdict::Healthy];
    if any(Verdict::Invalid) {
        Verdict::Invalid
    } else if any(Verdict::Regressed) {
        Verdict::Regressed
    } else if any(Verdict::NoData) {
        if said.into_iter().any(any) {
            Verdict::Inconclusive
        } else {
            Verdict::NoData
        }
    } else if let Some(verdict) = said.into_iter().find(|verdict| any(*verdict)) {
        verdict
    } else if any(Verdict::Held) {
        Verdict::Held
    } else {
        Verdict::NoData
    }
}

/// About how many more events of both arms would decide whether the ratio is
/// below the margin, were it to stay where it is. The width of a sequence falls
/// like 1/√events; none where the estimate is on the margin, or unknown.
pub fn events_needed(
    events: f64,
    estimate: Option<f64>,
    bounds: (Option<f64>, Option<f64>),
    margin: f64,
) -> Option<f64> {
    let estimate = estimate.filter(|it| *it > 0.0)?;
    // Below the margin the upper end must come under it; beyond it the lower
    // end must come over 1.
    let (gap, width) = if estimate < margin {
        ((margin / estimate).ln(), (bounds.1? / estimate).ln())
    } else {
        (estimate.ln(), (estimate / bounds.0?).ln())
    };
    let times = (width / gap).powi(2) - 1.0;
    let more = (events * times).ceil();
    (more.is_finite() && more > 0.0 && more < 1e18).then_some(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl Fn(&mut Findings)) -> Verdict {
        let mut findings = Findings {
            data: true,
            bad_side: true,
            margin: 1.1,
            ..Findings::default()
        };
        change(&mut findings);
        choose(&findings)
    }

    #[test]
    fn the_first_that_holds() {
        let narrow = |it: &mut Findings| (it.lower, it.upper) = (Some(1.01), Some(1.05));
        assert_eq!(with(|_| ()), Verdict::Inconclusive);
        assert_eq!(with(|it| it.data = false), Verdict::NoData);
        assert_eq!(with(|it| it.worse = true), Verdict::Regressed);
        assert_eq!(
            with(|it| (it.silent, it.better) = (true, true)),
            Verdict::NoData
        );
        let silenced = with(|it| (it.silent, it.worse) = (true, true));
        assert_eq!(silenced, Verdict::Regressed);
        assert_eq!(with(|it| it.better = true), Verdict::Improved);
        assert_eq!(with(narrow), Verdict::Healthy);
        assert_eq!(
            with(|it| {
                narrow(it);
                it.worse = true;
            }),
            Verdict::Healthy,
            "worse, but within what is tolerated"
        );
        assert_eq!(with(|it| (it.held, it.worse) = (true, true)), Verdict::Held);
        assert_eq!(
            with(|it| (it.held, it.invalid) = (true, true)),
            Verdict::Invalid
        );
        assert_eq!(
            with(|it| (it.bad_side, it.worse) = (false, true)),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn not_enough_data_is_never_fine() {
        use Verdict::*;
        let cases: [(&[Verdict], Verdict); 8] = [
            (&[], NoData),
            (&[Healthy, Improved], Improved),
            (&[Healthy, NoData], Inconclusive),
            (&[NoData, NoData], NoData),
            (&[Healthy, Inconclusive], Inconclusive),
            (&[Held], Held),
            (&[Held, Healthy], Healthy),
            (&[Regressed, NoData, Healthy], Regressed),
        ];
        for (parts, whole) in cases {
            assert_eq!(together(parts.iter().copied()), whole, "{parts:?}");
        }
    }

    #[test]
    fn twice_as_narrow_needs_four_times_the_events() {
        let margin = 1.21f64;
        let needed = events_needed(100.0, Some(1.0), (None, Some(margin * margin)), margin);
        assert!((needed.unwrap() - 300.0).abs() <= 1.0);
        assert_eq!(events_needed(100.0, Some(1.0), (None, None), margin), None);
        assert_eq!(events_needed(0.0, None, (None, None), margin), None);
    }
}
