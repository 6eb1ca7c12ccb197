//! Imports that are killed, and readers beside them.

use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{HEADER, Home};

fn row(at: usize) -> String {
    let (day, minute) = (at / 1_440 % 28 + 1, at % 1_440);
    format!(
        "r{},a,m,2026-01-{day:02}T{:02}:{:02}Z,{}\n",
        at % 7,
        minute / 60,
        minute % 60,
        at % 1_000
    )
}

#[test]
fn a_killed_import_is_repeated_until_it_is_done() {
    let home = Home::new();
    let rows: String = (0..60_000).map(row).collect();
    home.write("a.csv", format!("{HEADER}{rows}"));
    home.ok(&["import", "whole", "a.csv", "--define-missing"]);
    let import = [
        "import",
        "s",
        "a.csv",
        "--define-missing",
        "--source",
        "feed",
    ];
    let mut kills = 0;
    for round in 0.. {
        let mut child = home.command(&import).stderr(Stdio::null()).spawn().unwrap();
        // The first one has hardly begun, however fast the machine: the whole of it takes
        // 20 ms on some.
        sleep(Duration::from_millis(if round == 0 {
            0
        } else {
            2 << round
        }));
        if child
            .try_wait()
            .unwrap()
            .is_some_and(|status| status.success())
        {
            break;
        }
        let _ = child.kill();
        let _ = child.wait();
        kills += 1;
    }
    assert!(kills > 0, "it was never interrupted");
    home.ok(&import);
    assert_eq!(home.ok(&["query", "s"]), home.ok(&["query", "whole"]));
    home.ok(&["verify", "s"]);
}

#[test]
fn a_reader_sees_each_commit_within_a_second() {
    let home = Home::new();
    home.ok(&["define", "s", "metric", "m", "--kind", "counter"]);
    let mut command = home.command(&["import", "s", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let batch = "r,a,m,2026-01-01T00:00Z,1\n".repeat(8_192);
    stdin.write_all(HEADER.as_bytes()).unwrap();
    for commit in 1..=3 {
        stdin.write_all(batch.as_bytes()).unwrap();
        stdin.flush().unwrap();
        let expected = format!("*,*,m,2026-01-01T00:00Z,{}", 8_192 * commit);
        let since = Instant::now();
        loop {
            let rows = home.rows(&["--every", "all", "--by", "metric"]);
            if rows == [expected.as_str()] {
                break;
            }
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "{rows:?} and not {expected}"
            );
            sleep(Duration::from_millis(20));
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
