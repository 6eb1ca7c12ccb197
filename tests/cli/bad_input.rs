//! What is refused: exit code 1, file and line named, nothing lost.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::support::{HEADER, Home, ran, says};

const NAMES: &str = "r,a,m,";

fn home() -> Home {
    let home = Home::new();
    home.ok(&["define", "s", "metric", "m", "--kind", "counter"]);
    home.ok(&[
        "define",
        "s",
        "metric",
        "sum",
        "--kind",
        "sum",
        "--decimals",
        "2",
    ]);
    home.ok(&["define", "s", "metric", "gauge", "--kind", "gauge"]);
    home.write("good.csv", format!("{HEADER}{NAMES}2026-01-01T00:00Z,1\n"));
    home.ok(&["import", "s", "good.csv"]);
    home
}

#[test]
fn rows() {
    let home = home();
    let long = "x".repeat(1_025);
    let before = home.rows(&[]);
    for (row, what) in [
        ("r,a,m,2026-01-01T00:00Z", "4 fields"),
        ("r,a,m,2026-01-01T00:00Z,1,2", "6 fields"),
        ("r,a,\"m,2026-01-01T00:00Z,1", "never closed"),
        ("r,a,m\"x\",2026-01-01T00:00Z,1", "quote"),
        (
            "r,a,unknown,2026-01-01T00:00Z,1",
            "\"unknown\" is not defined",
        ),
        ("r,a,m,2026-01-01T00:00Z,-1", "negative"),
        ("r,a,m,2026-01-01T00:00Z,1.5", "not a whole number"),
        ("r,a,m,2026-01-01T00:00Z,18446744073709551616", "64 bits"),
        ("r,a,sum,2026-01-01T00:00Z,92233720368547758.08", "64 bits"),
        ("r,a,sum,2026-01-01T00:00Z,1e400", "64 bits"),
        ("r,a,sum,2026-01-01T00:00Z,NaN", "not a decimal number"),
        ("r,a,gauge,2026-01-01T00:00Z,NaN", "finite"),
        ("r,a,gauge,2026-01-01T00:00Z,-inf", "finite"),
        ("r,a,m,2026-01-01T00:00Z,", "not a number"),
        ("r,a,m,2026-01-01T00:00Z,0x10", "not a number"),
        ("r,a,m,0000-01-01T00:00Z,1", "not a minute"),
        ("r,a,m,9999-12-31T23:59Z,1", "not a minute"),
        ("r,a,m,2026-01-01T00:00:30Z,1", "not a minute"),
        ("r,a,m,2026-01-01T00:00+02:00,1", "not a minute"),
        ("r,a,m,yesterday,1", "not a minute"),
        (",a,m,2026-01-01T00:00Z,1", "empty"),
        ("*,a,m,2026-01-01T00:00Z,1", "stands for all"),
        ("r,\u{7},m,2026-01-01T00:00Z,1", "control character"),
        (&format!("{long},a,m,2026-01-01T00:00Z,1"), "1,024 bytes"),
    ] {
        home.write(
            "bad.csv",
            format!("{HEADER}{NAMES}2026-01-01T00:00Z,5\n{row}\n"),
        );
        let told = home.fails(&["import", "s", "bad.csv"]);
        says(
            &told,
            &[
                what,
                "bad.csv line 3",
                "nothing of this file is in the store",
            ],
        );
    }
    home.write(
        "bad.csv",
        [HEADER.as_bytes(), b"\xff,a,m,2026-01-01T00:00Z,1\n"].concat(),
    );
    says(
        &home.fails(&["import", "s", "bad.csv"]),
        &["UTF-8", "bad.csv line 2"],
    );
    assert_eq!(home.rows(&[]), before, "nothing came in, nothing got lost");
    home.ok(&["verify", "s"]);
}

#[test]
fn objects() {
    let home = home();
    for object in [
        "{",
        "null",
        r#"{"release":"r","branch":"a","metric":"m","minute":"2026-01-01T00:00Z"}"#,
        r#"{"release":"r","branch":"a","metric":"m","minute":"2026-01-01T00:00Z","value":true}"#,
        r#"{"release":"r","branch":"a","metric":"m","minute":"2026-01-01T00:00Z","value":-1}"#,
        r#"{"release":"r","branch":"a","metric":"m","minute":1767225600,"value":1}"#,
        r#"{"release":"r","branch":"a","metric":"m","minute":"2026-01-01T00:00Z","value":1} x"#,
    ] {
        home.write("bad.ndjson", format!("\n{object}\n"));
        let told = home.fails(&["import", "s", "bad.ndjson"]);
        says(&told, &["bad.ndjson line 2"]);
    }
    home.write("bad.ndjson", "[".repeat(100_000));
    says(
        &home.fails(&["import", "s", "bad.ndjson"]),
        &["bad.ndjson line 1"],
    );
}

#[test]
fn files() {
    let home = home();
    home.write("empty.csv", "");
    says(
        &home.fails(&["import", "s", "empty.csv"]),
        &["empty.csv line 1", "is empty"],
    );
    says(
        &home.fails(&["import", "s", "empty.csv", "--define-missing"]),
        &["empty.csv", "is empty"],
    );
    home.write("empty.ndjson", "");
    says(&home.fails(&["import", "s", "empty.ndjson"]), &["is empty"]);
    home.write("header.csv", "release,branch,metric,value\n");
    says(
        &home.fails(&["import", "s", "header.csv"]),
        &["\"minute\"", "header.csv line 1"],
    );
    home.write(
        "cut.csv",
        format!("{HEADER}{NAMES}2026-01-01T00:00Z,1\nr,a,m,2026-01-0"),
    );
    says(
        &home.fails(&["import", "s", "cut.csv"]),
        &["cut.csv line 3", "4 fields"],
    );
    says(&home.fails(&["import", "s", "absent.csv"]), &["absent.csv"]);
    says(&home.fails(&["import", "s", "s"]), &["directory"]);
    home.write("long.csv", format!("{HEADER}\"{}", "x\n".repeat(2 << 20)));
    says(
        &home.fails(&["import", "s", "long.csv"]),
        &["long.csv line 2", "1 MiB"],
    );
    home.fails(&["import", "new", "absent.csv"]);
    assert!(!home.path("new").exists(), "nothing was made for nothing");
}

#[test]
fn what_is_no_store() {
    let home = home();
    std::fs::create_dir(home.path("photos")).unwrap();
    home.write("photos/cat.jpg", "meow");
    home.write("plain", "text");
    std::fs::create_dir(home.path("empty")).unwrap();
    for store in ["photos", "plain", "empty", "absent"] {
        for command in [
            &["query", store][..],
            &["inspect", store],
            &["metrics", store],
            &["releases", store],
            &["verify", store],
            &["repair", store],
            &["compact", store],
            &["backup", store, "copy"],
            &["retain", store, "--before", "2026-01-01T00:00Z"],
        ] {
            says(&home.fails(command), &[store]);
        }
    }
    for store in ["photos", "plain"] {
        says(&home.fails(&["import", store, "good.csv"]), &[store]);
        says(
            &home.fails(&["define", store, "metric", "m", "--kind", "counter"]),
            &[store],
        );
    }
    says(&home.fails(&["demo", "photos"]), &["photos"]);
    assert_eq!(home.image("photos").len(), 1, "nothing was touched");
    assert!(!home.path("copy").exists() && !home.path("absent").exists());
    assert_eq!(home.image("empty").len(), 0);
}

#[test]
fn a_store_that_is_being_written() {
    let home = home();
    let store = hotstove::Store::open(home.path("s"), hotstove::Options::new()).unwrap();
    for command in [
        &["import", "s", "good.csv"][..],
        &["define", "s", "metric", "x", "--kind", "counter"],
        &["compact", "s"],
        &["repair", "s"],
        &["retain", "s", "--before", "2026-01-01T00:00Z"],
    ] {
        says(&home.fails(command), &["LOCK", "another process"]);
    }
    assert_eq!(home.rows(&[]).len(), 1, "reading goes on");
    home.ok(&["inspect", "s"]);
    home.ok(&["backup", "s", "copy"]);
    store.close().unwrap();
    home.ok(&["compact", "s"]);
}

#[test]
fn a_directory_that_can_not_be_written() {
    let home = home();
    let read_only = |path: &str, mode| {
        std::fs::set_permissions(home.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    read_only("", 0o755);
    for entry in std::fs::read_dir(home.path("s")).unwrap() {
        let file = std::path::Path::new("s").join(entry.unwrap().file_name());
        read_only(file.to_str().unwrap(), 0o444);
    }
    read_only("s", 0o555);
    // Root may write everywhere: somebody else must try.
    let nobody = |line: &[&str]| {
        let mut command = home.command(line);
        if is_root(&home) {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    if nobody(&["--version"]).output().is_err() {
        eprintln!("skipped: the program can not be run by another user here");
        return;
    }
    says(
        &ran(nobody(&["import", "s", "good.csv"])).failed(),
        &["s", "denied"],
    );
    says(
        &ran(nobody(&[
            "define", "new", "metric", "m", "--kind", "counter",
        ]))
        .failed(),
        &["new", "denied"],
    );
    says(
        &ran(nobody(&["query", "s", "--override", "why"])).failed(),
        &["override", "denied"],
    );
    let read = ran(nobody(&["query", "s"]));
    assert_eq!(read.code, Some(0), "reading writes nothing: {}", read.err);
    read_only("s", 0o755);
}

/// Whether permissions do not hold for us.
fn is_root(home: &Home) -> bool {
    std::fs::write(home.path("s/probe"), "")
        .inspect(|()| {
            let _ = std::fs::remove_file(home.path("s/probe"));
        })
        .is_ok()
}

#[test]
fn the_future() {
    let home = home();
    says(
        &home.fails(&["query", "s", "--at", "2400-01-01T00:00Z"]),
        &["2400-01-01T00:00Z", "future"],
    );
    home.write("f.csv", format!("{HEADER}{NAMES}2400-01-01T00:00Z,1\n"));
    home.ok(&["import", "s", "f.csv"]);
    assert_eq!(home.rows(&[]).len(), 2, "producers' clocks may run ahead");
}

#[test]
fn usage() {
    let home = home();
    for line in [
        &[][..],
        &["frobnicate"],
        &["query"],
        &["query", "s", "--every", "1w"],
        &["query", "s", "--from", "yesterday"],
        &["query", "s", "--by", "moon"],
        &["query", "s", "--release", ""],
        &["retain", "s"],
        &[
            "retain",
            "s",
            "--before",
            "2026-01-01T00:00Z",
            "--release",
            "r",
        ],
        &["import", "s"],
        &["import", "s", "a", "b", "--source", "x"],
        &[
            "define",
            "s",
            "metric",
            "m",
            "--kind",
            "counter",
            "--decimals",
            "2",
        ],
        &[
            "define",
            "s",
            "metric",
            "m",
            "--kind",
            "sum",
            "--decimals",
            "10",
        ],
        &["define", "s", "metric", "*", "--kind", "sum"],
    ] {
        let ran = home.run(line);
        assert_eq!(ran.code, Some(2), "{line:?}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty());
    }
    assert_eq!(home.run(&["--help"]).code, Some(0));
}

#[test]
fn an_output_nobody_reads() {
    let home = home();
    let mut command = home.command(&["query", "s"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let mut command = home.command(&["query", "s"]);
        command.stdout(full);
        says(&ran(command).failed(), &["standard output"]);
    }
}
