//! Curves as SVG: growth to the right, cost upwards, both by factors of ten, so
//! that a cost in proportion is a straight line and a constant one is level.

use std::fmt::Write;
use std::fs;
use std::path::Path;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;
const COLOURS: [&str; 6] = [
    "#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d35400", "#555555",
];

/// A picture: which axis the points grow along, and the columns drawn.
struct Picture {
    file: &'static str,
    title: &'static str,
    prefix: &'static str,
    growth: &'static str,
    axis: &'static str,
    columns: &'static [(&'static str, &'static str)],
}

const COSTS: &[(&str, &str)] = &[
    ("ingest_ns_a_delta", "ingest, ns a delta"),
    ("compact_ns_a_cell", "compaction, ns a cell"),
    ("open_us", "open, µs"),
    ("q1_us", "Q1, µs"),
    ("q2_us", "Q2, µs"),
];
const SIZES: &[(&str, &str)] = &[
    ("anonymous_mib", "anonymous memory, MiB"),
    ("fresh_bytes_a_cell", "fresh, bytes a cell"),
    ("compacted_bytes_a_cell", "compacted, bytes a cell"),
    ("written_bytes_a_delta", "written, bytes a delta"),
];
const PICTURES: [Picture; 4] = [
    Picture {
        file: "minutes-time.svg",
        title: "Time, as minutes grow (2,000 series)",
        prefix: "minutes-",
        growth: "cells",
        axis: "cells",
        columns: COSTS,
    },
    Picture {
        file: "minutes-space.svg",
        title: "Memory and bytes, as minutes grow (2,000 series)",
        prefix: "minutes-",
        growth: "cells",
        axis: "cells",
        columns: SIZES,
    },
    Picture {
        file: "series-time.svg",
        title: "Time, as series grow (10 minutes each)",
        prefix: "series-",
        growth: "series",
        axis: "series",
        columns: COSTS,
    },
    Picture {
        file: "series-space.svg",
        title: "Memory and bytes, as series grow (10 minutes each)",
        prefix: "series-",
        growth: "series",
        axis: "series",
        columns: SIZES,
    },
];

/// Draws all pictures from the `curves.csv` of a directory.
pub fn draw(directory: &Path) {
    let text = fs::read_to_string(directory.join("curves.csv")).expect("curves.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a header");
    let rows: Vec<Vec<&str>> = lines.collect();
    for picture in &PICTURES {
        let own: Vec<&Vec<&str>> = rows
            .iter()
            .filter(|row| row[0].starts_with(picture.prefix))
            .collect();
        let column = |name: &str| -> Vec<f64> {
            let place = head.iter().position(|known| *known == name);
            let place = place.expect("a column of that name");
            let read = |row: &&Vec<&str>| row[place].parse().expect("a number");
            own.iter().map(read).collect()
        };
        let curves: Vec<(&str, Vec<f64>)> = picture
            .columns
            .iter()
            .map(|(name, label)| (*label, column(name)))
            .collect();
        let svg = svg(picture, &column(picture.growth), &curves);
        fs::write(directory.join(picture.file), svg).expect("a picture");
    }
}

/// The powers of ten around some values.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values.fold(0.0, f64::max).log10().ceil();
    (low, high.max(low + 1.0))
}

fn svg(picture: &Picture, growth: &[f64], curves: &[(&str, Vec<f64>)]) -> String {
    let (x_low, x_high) = decades(growth.iter().copied());
    let all = curves.iter().flat_map(|(_, values)| values.iter().copied());
    let (y_low, y_high) = decades(all.map(|value| value.max(0.01)));
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x = |value: f64| LEFT + (value.log10() - x_low) / (x_high - x_low) * (right - LEFT);
    let y =
        |value: f64| bottom - (value.max(0.01).log10() - y_low) / (y_high - y_low) * (bottom - TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"13\">{}</text>\n",
        picture.title
    );
    let mut put = |text: String| writeln!(out, "{text}").expect("a string grows");
    for power in x_low as i32..=x_high as i32 {
        let at = x(10_f64.powi(power));
        put(format!(
            "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 15.0,
            power_of_ten(power)
        ));
    }
    for power in y_low as i32..=y_high as i32 {
        let at = y(10_f64.powi(power));
        put(format!(
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            power_of_ten(power)
        ));
    }
    put(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 8.0,
        picture.axis
    ));
    for (index, ((label, values), colour)) in curves.iter().zip(COLOURS).enumerate() {
        let points: Vec<String> = growth
            .iter()
            .zip(values)
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        let line = TOP + 12.0 + 18.0 * index as f64;
        put(format!(
            "<path d=\"M{} {:.1}h16\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{line:.1}\">{label}</text>",
            right + 12.0,
            line - 4.0,
            right + 34.0
        ));
    }
    put("</svg>".to_owned());
    out
}

fn power_of_ten(power: i32) -> String {
    match power {
        -2..=3 => format!("{}", 10_f64.powi(power)),
        4..=5 => format!("{}k", 10_u32.pow(power as u32 - 3)),
        6..=8 => format!("{}M", 10_u32.pow(power as u32 - 6)),
        _ => format!("{}G", 10_u32.pow((power - 9).clamp(0, 9) as u32)),
    }
}
