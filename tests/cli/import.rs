//! Files and pipes into a store.

use crate::support::{HEADER, Home, says};

const ROW: &str = "r,a,m,2026-01-01T00:00Z,";

fn home() -> Home {
    let home = Home::new();
    home.ok(&["define", "s", "metric", "m", "--kind", "counter"]);
    home
}

/// `count` rows of one cell.
fn rows(count: usize) -> String {
    format!("{ROW}1\n").repeat(count)
}

fn total(home: &Home) -> String {
    let rows = home.rows(&["--metric", "m", "--every", "all", "--by", "metric"]);
    rows.first()
        .and_then(|row| row.rsplit(',').next())
        .unwrap_or("none")
        .to_owned()
}

#[test]
fn columns_quotes_and_line_ends_of_any_sort() {
    let home = home();
    home.write("a.csv", "\u{feff}value,metric,minute,\"release\",branch,extra\r\n1,m,2026-01-01T00:00:00Z,\"r, \"\"x\"\"\",a,?\r\n\r\n2,m,2026-01-01 00:00+00:00,\"r, \"\"x\"\"\",a,?");
    let ran = home.run(&["import", "s", "a.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    says(&ran.err, &["columns not read: extra", "2 rows of a.csv"]);
    assert!(ran.out.is_empty());
    assert_eq!(home.rows(&[]), ["\"r, \"\"x\"\"\",a,m,2026-01-01T00:00Z,3"]);
}

#[test]
fn several_files_and_pipes() {
    let home = home();
    home.write("a.csv", format!("{HEADER}{}", rows(2)));
    let object =
        r#"{"branch":"a","release":"r","metric":"m","minute":"2026-01-01T00:00Z","value":"7"}"#;
    home.write("b.jsonl", object);
    home.ok(&["import", "s", "a.csv", "b.jsonl"]);
    assert_eq!(total(&home), "9");
    let piped = home.pipe(&["import", "s", "-"], &format!("{HEADER}{ROW}1"));
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    let piped = home.pipe(&["import", "s", "-", "--format", "ndjson"], object);
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    assert_eq!(total(&home), "17");
}

#[test]
fn a_source_is_imported_once_and_goes_on_where_it_left_off() {
    let home = home();
    let import = ["import", "s", "a.csv", "--source", "feed"];
    home.write("a.csv", format!("{HEADER}{}", rows(10_000)));
    home.ok(&import);
    home.ok(&import);
    assert_eq!(total(&home), "10000", "repeated");
    home.write("a.csv", format!("{HEADER}{}", rows(10_007)));
    home.ok(&import);
    assert_eq!(total(&home), "10007", "grown");
    home.write("a.csv", format!("{HEADER}{}", rows(10_000)));
    says(&home.fails(&import), &["feed", "a.csv", "ends before byte"]);
    home.write("a.csv", format!("{HEADER}{ROW}2\n{}", rows(20_000)));
    says(&home.fails(&import), &["feed", "a.csv", "are different"]);
    assert_eq!(total(&home), "10007");
    home.ok(&["import", "s", "a.csv", "--source", "other"]);
    assert_eq!(total(&home), "30009", "another name, another file");
    says(&home.ok(&["inspect", "s"]), &["feed", "other"]);
}

#[test]
fn a_bad_line_is_corrected_and_the_import_repeated() {
    let home = home();
    let import = ["import", "s", "a.csv", "--source", "feed"];
    home.write(
        "a.csv",
        format!("{HEADER}{}{ROW}-1\n{}", rows(9_000), rows(9_000)),
    );
    let told = home.fails(&import);
    says(
        &told,
        &[
            "\"-1\" is negative",
            "a.csv line 9002",
            "lines up to 8193 are in the store",
            "repeat",
        ],
    );
    assert_eq!(total(&home), "8192");
    says(
        &home.fails(&import),
        &["a.csv line 9002", "nothing new is in the store"],
    );
    home.write(
        "a.csv",
        format!("{HEADER}{}{ROW}1\n{}", rows(9_000), rows(9_000)),
    );
    home.ok(&import);
    assert_eq!(total(&home), "18001");
}

#[test]
fn without_a_source_the_lines_that_are_in_are_named() {
    let home = home();
    home.write("good.csv", format!("{HEADER}{}", rows(1)));
    home.write("a.csv", format!("{HEADER}{}{ROW}1.5\n", rows(16_384)));
    let told = home.fails(&["import", "s", "good.csv", "a.csv"]);
    says(
        &told,
        &[
            "1.5",
            "a.csv line 16386",
            "lines 2 to 16385 are in the store",
            "all of good.csv is in",
        ],
    );
    assert_eq!(total(&home), "16385");
}

#[test]
fn a_last_line_without_an_end_may_get_one_and_nothing_else() {
    let home = home();
    let import = ["import", "s", "a.csv", "--source", "feed"];
    home.write("a.csv", format!("{HEADER}{ROW}1"));
    home.ok(&import);
    home.write("a.csv", format!("{HEADER}{ROW}12\n"));
    says(&home.fails(&import), &["goes on"]);
    home.write("a.csv", format!("{HEADER}{ROW}1\r\n{ROW}2\r\n{ROW}x"));
    says(&home.fails(&import), &["a.csv line 4"]);
    home.write("a.csv", format!("{HEADER}{ROW}1\r\n{ROW}2\r\n"));
    home.ok(&import);
    assert_eq!(total(&home), "3");
}

#[test]
fn offsets_of_somebody_else_are_not_touched() {
    let home = home();
    let store = hotstove::Store::open(home.path("s"), hotstove::Options::new()).unwrap();
    let mut batch = hotstove::Batch::new();
    batch.stamp(&hotstove::Name::new("feed").unwrap(), 7);
    store.commit(batch).unwrap();
    store.close().unwrap();
    home.write("a.csv", format!("{HEADER}{}", rows(1)));
    says(
        &home.fails(&["import", "s", "a.csv", "--source", "feed"]),
        &["not made by an import"],
    );
}

#[test]
fn missing_metrics_are_declared_by_what_is_seen() {
    let home = Home::new();
    let text = format!(
        "{HEADER}r,a,count,2026-01-01T00:00Z,1\nr,a,hours,2026-01-01T00:00Z,2\nr,a,hours,2026-01-01T00:01Z,1.25e-3\nr,a,fine,2026-01-01T00:00Z,0.12345678949\n"
    );
    home.write("a.csv", &text);
    let ran = home.run(&["import", "s", "a.csv", "--define-missing"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    says(
        &ran.err,
        &[
            "\"count\" is declared as a counter",
            "\"hours\" is declared as a sum with 5 decimals",
            "1 values of a.csv were rounded",
        ],
    );
    assert_eq!(
        home.rows(&["--every", "all", "--by", "metric"]),
        [
            "*,*,count,2026-01-01T00:00Z,1",
            "*,*,fine,2026-01-01T00:00Z,0.123456789",
            "*,*,hours,2026-01-01T00:00Z,2.00125"
        ]
    );
    let piped = home.pipe(&["import", "p", "-", "--define-missing"], &text);
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    assert_eq!(home.ok(&["query", "p"]), home.ok(&["query", "s"]));
    says(
        &home.fails(&["import", "t", "a.csv", "--define-missing", "--strict"]),
        &["a.csv line 5", "decimals"],
    );
}

#[test]
fn a_pipe_is_looked_at_only_so_far() {
    let home = Home::new();
    let late = "r,a,m,2026-01-01T00:00Z,0.5\n";
    let piped = home.pipe(
        &["import", "s", "-", "--define-missing"],
        &format!("{HEADER}{}{late}", rows(70_000)),
    );
    says(
        &piped.failed(),
        &[
            "0.5",
            "standard input line 70002",
            "lines 2 to 65537 are in the store",
        ],
    );
    assert_eq!(total(&home), "65536");
}

#[test]
fn rounding_is_half_to_even() {
    let home = Home::new();
    home.ok(&[
        "define",
        "s",
        "metric",
        "m",
        "--kind",
        "sum",
        "--decimals",
        "1",
    ]);
    home.write(
        "a.csv",
        format!("{HEADER}{ROW}0.25\n{ROW}0.35\n{ROW}1e-5\n{ROW}-0.2\n"),
    );
    let ran = home.run(&["import", "s", "a.csv"]);
    says(&ran.err, &["3 values of a.csv were rounded, half to even"]);
    assert_eq!(total(&home), "0.4");
    says(
        &home.fails(&["import", "s", "a.csv", "--strict"]),
        &["0.25", "a.csv line 2"],
    );
}
