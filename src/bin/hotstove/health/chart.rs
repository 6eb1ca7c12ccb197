//! Charts as inline SVG: no script, no network, colours from the page's style.

use std::fmt::Write as _;

use hotstove::Minute;

use super::words;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 224.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 26.0;

/// How the upright axis is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Numbers.
    Plain,
    /// Shares of 1.
    Percent,
    /// Powers of ten, the values being their exponents.
    Power,
}

/// A chart over time, drawn layer by layer.
pub struct Chart {
    svg: String,
    scale: Scale,
    from: f64,
    to: f64,
    low: f64,
    high: f64,
}

impl Chart {
    /// An empty frame for minutes and values; `title` is for readers who do not
    /// see it.
    pub fn new(title: &str, minutes: (u32, u32), values: (f64, f64), scale: Scale) -> Self {
        let (low, high) = values;
        let high = if high > low { high } else { low + 1.0 };
        let mut chart = Chart {
            svg: format!(
                "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
                escaped(title)
            ),
            scale,
            from: f64::from(minutes.0),
            to: f64::from(minutes.1.max(minutes.0 + 1)),
            low,
            high,
        };
        chart.axes(minutes);
        chart
    }

    fn x(&self, minute: f64) -> f64 {
        let share = (minute - self.from) / (self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn put(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = self.svg.write_fmt(piece);
    }

    fn axes(&mut self, minutes: (u32, u32)) {
        let right = WIDTH - RIGHT;
        let foot = HEIGHT - BOTTOM;
        for value in ticks(self.low, self.high) {
            let y = self.y(value);
            let label = match self.scale {
                Scale::Plain => plain(value),
                Scale::Percent => words::percent(value),
                Scale::Power => power(value),
            };
            self.put(format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 5.0,
                y + 3.5
            ));
        }
        for (minute, label) in times(minutes.0, minutes.1) {
            let x = self.x(f64::from(minute));
            // The label of the last moment must not leave the picture.
            let anchor = if x > right - 14.0 { "end" } else { "middle" };
            let beside = if x > right - 14.0 { right } else { x };
            self.put(format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {foot:.1}v4\"/><text class=\"tick\" x=\"{beside:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
                foot + 16.0
            ));
        }
        self.put(format_args!(
            "<path class=\"axis\" d=\"M{LEFT} {foot:.1}H{right}\"/>"
        ));
    }

    /// A line; interrupted where there is nothing.
    pub fn line(&mut self, class: &str, points: impl Iterator<Item = (u32, Option<f64>)>) {
        let mut path = String::new();
        let mut pen = 'M';
        for (minute, value) in points {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    let (x, y) = (self.x(f64::from(minute)), self.y(value));
                    let _ = write!(path, "{pen}{x:.1} {y:.1}");
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        if !path.is_empty() {
            self.put(format_args!("<path class=\"line {class}\" d=\"{path}\"/>"));
        }
    }

    /// An area between two lines; an end that is not there is that of the chart.
    pub fn band(&mut self, class: &str, points: &[(u32, Option<f64>, Option<f64>)]) {
        let (mut above, mut below) = (String::new(), Vec::new());
        for (minute, lower, upper) in points {
            let x = self.x(f64::from(*minute));
            let upper = self.y(upper.filter(|it| it.is_finite()).unwrap_or(self.high));
            let lower = self.y(lower.filter(|it| it.is_finite()).unwrap_or(self.low));
            let pen = if above.is_empty() { 'M' } else { 'L' };
            let _ = write!(above, "{pen}{x:.1} {upper:.1}");
            below.push((x, lower));
        }
        if below.is_empty() {
            return;
        }
        for (x, y) in below.iter().rev() {
            let _ = write!(above, "L{x:.1} {y:.1}");
        }
        self.put(format_args!(
            "<path class=\"band {class}\" d=\"{above}Z\"/>"
        ));
    }

    /// A level across, with a word at its right end.
    pub fn level(&mut self, class: &str, value: f64, label: &str) {
        if !(self.low..=self.high).contains(&value) {
            return;
        }
        let y = self.y(value);
        self.put(format_args!(
            "<path class=\"level {class}\" d=\"M{LEFT} {y:.1}H{:.1}\"/>",
            WIDTH - RIGHT
        ));
        if !label.is_empty() {
            let over = if y > TOP + 14.0 { y - 4.0 } else { y + 12.0 };
            self.put(format_args!(
                "<text class=\"mark {class}\" x=\"{:.1}\" y=\"{over:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                escaped(label)
            ));
        }
    }

    /// A moment, with a word beside it.
    pub fn moment(&mut self, class: &str, minute: u32, label: &str) {
        let x = self.x(f64::from(minute));
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        let (anchor, beside) = if x > middle {
            ("end", x - 5.0)
        } else {
            ("start", x + 5.0)
        };
        self.put(format_args!(
            "<path class=\"moment {class}\" d=\"M{x:.1} {TOP}V{:.1}\"/><text class=\"mark {class}\" x=\"{beside:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - BOTTOM,
            TOP - 4.0,
            escaped(label)
        ));
    }

    /// The chart.
    pub fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// A text in HTML.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Marks that turn the reading direction would rearrange the page.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// About five round numbers in a range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last.min(first.saturating_add(12)))
        .map(|index| index as f64 * step)
        .collect()
}

fn plain(value: f64) -> String {
    let size = value.abs();
    match size {
        size if size >= 1e9 => format!("{value:.0e}"),
        size if size >= 1e6 => format!("{}M", short(value / 1e6)),
        size if size >= 1e3 => format!("{}k", short(value / 1e3)),
        _ => short(value),
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A power of ten: `0.01`, `1`, `1000`, `10⁶`.
fn power(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() > 1e-9 {
        return String::new();
    }
    let exponent = exponent.round() as i64;
    match exponent {
        -2..=4 => short(10f64.powi(exponent as i32)),
        _ => {
            let digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
            let shown = exponent.to_string();
            let raised = shown.chars().filter_map(|digit| match digit.to_digit(10) {
                Some(digit) => digits.chars().nth(digit as usize),
                None => Some('⁻'),
            });
            format!("10{}", raised.collect::<String>())
        }
    }
}

/// At most six round moments with their names: hours of a day, or days.
fn times(from: u32, to: u32) -> Vec<(u32, String)> {
    const DAY: u32 = 1_440;
    const STEPS: [u32; 17] = [
        10,
        30,
        60,
        120,
        180,
        360,
        720,
        DAY,
        2 * DAY,
        3 * DAY,
        7 * DAY,
        14 * DAY,
        30 * DAY,
        90 * DAY,
        180 * DAY,
        365 * DAY,
        3_650 * DAY,
    ];
    let span = to.saturating_sub(from).max(1);
    let step = STEPS.into_iter().find(|step| span / step <= 5);
    let step = step.unwrap_or(span);
    let mut moments = Vec::new();
    let mut at = from.div_ceil(step).saturating_mul(step);
    while at <= to && moments.len() < 8 {
        let Ok(minute) = Minute::new(at) else { break };
        let text = minute.to_string();
        let label = if step >= DAY || at.is_multiple_of(DAY) {
            text.get(5..10)
        } else {
            text.get(11..16)
        };
        moments.push((at, label.unwrap_or_default().to_owned()));
        at = at.saturating_add(step);
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(
            escaped("<a href='\"&\">"),
            "&lt;a href=&#39;&quot;&amp;&quot;&gt;"
        );
        assert_eq!(escaped("a\u{202e}b"), "a\u{fffd}b");
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0, 10.0), [0.0, 2.5, 5.0, 7.5, 10.0]);
        for (low, high) in [(0.0, 1e-9), (-2.0, 43.0), (0.0, 3.7e12), (0.95, 1.05)] {
            let ticks = ticks(low, high);
            assert!((3..=13).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        }
        assert_eq!(times(0, 14 * 1_440).len(), 5);
        assert!(times(7, 8).len() < 3);
        assert!(times(0, u32::MAX).len() < 9);
    }

    #[test]
    fn numbers_that_are_none_leave_no_trace() {
        let mut chart = Chart::new("t", (5, 5), (0.0, 0.0), Scale::Plain);
        chart.line(
            "own",
            [(5, Some(f64::NAN)), (6, None), (7, Some(1e300))].into_iter(),
        );
        chart.band("own", &[(5, None, Some(f64::INFINITY))]);
        chart.level("x", f64::NAN, "never");
        let svg = chart.finish();
        assert!(
            !svg.contains("NaN") && !svg.contains("inf") && !svg.contains("never"),
            "{svg}"
        );
    }

    #[test]
    fn powers() {
        assert_eq!(power(-2.0), "0.01");
        assert_eq!(power(3.0), "1000");
        assert_eq!(power(12.0), "10¹²");
        assert_eq!(power(2.5), "");
    }
}
