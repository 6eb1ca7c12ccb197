//! What the fuzzers found worth keeping, replayed without a fuzzer: every input
//! of `fuzz/corpus` and of `fuzz/regressions` through its target.

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(kind)
        .join(target);
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn kept_inputs_are_answered() {
    let mut count = 0;
    for (name, run) in targets::ALL {
        let kept = inputs("corpus", name);
        assert!(!kept.is_empty(), "no corpus of {name}");
        for path in kept.iter().chain(&inputs("regressions", name)) {
            // A panic says the rest; this says of what.
            eprintln!("{}", path.display());
            run(&fs::read(path).unwrap());
            count += 1;
        }
    }
    println!("{count} inputs of {} targets", targets::ALL.len());
}

/// Every file of the golden stores, and a few texts, as beginnings for the
/// fuzzers. Written on demand, kept afterwards.
#[test]
#[ignore = "writes the seeds of the corpora"]
fn seeds_are_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut kept = 0;
    let mut keep = |target: &str, bytes: &[u8]| {
        let directory = root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("seed-{kept:04}")), bytes).unwrap();
        kept += 1;
    };
    let mut directories = vec![root.join("tests/golden")];
    while let Some(directory) = directories.pop() {
        let (mut whole, mut files) = (Vec::new(), 0);
        let mut paths: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = fs::read(&path).unwrap();
            let target = match name.as_str() {
                "MANIFEST" => "manifest",
                "published" => "published",
                "audit.log" => "audit",
                _ if name.ends_with(".log") => "wal",
                _ if name.ends_with(".seg") => "index",
                _ => continue,
            };
            files += 1;
            if bytes.len() <= 1 << 13 {
                keep(target, &bytes);
            }
            if let Some(rest) = bytes.get(64..).filter(|_| target == "wal") {
                keep("frames", &bytes[..bytes.len().min(4_096)]);
                if let Some(payload) = rest.get(32..) {
                    keep("log", &payload[..payload.len().min(4_096)]);
                }
            }
            let place = match name.as_str() {
                "MANIFEST" => 0,
                "published" => 2,
                "audit.log" => 3,
                _ if name.ends_with(".log") => 5 + files as u8 % 2,
                _ => 7 + files as u8 % 2,
            };
            if bytes.len() < 1 << 13 {
                whole.push(place);
                whole.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
                whole.extend_from_slice(&bytes);
            }
            for (kind, magic) in [("dictionary", b"\xf5hd\n"), ("block", b"\xf5hb\n")] {
                let found = bytes.windows(4).position(|window| window == magic);
                if let Some(at) = found.filter(|_| target == "index") {
                    keep(kind, &bytes[at..bytes.len().min(at + 4_096)]);
                }
            }
            if target == "index" && bytes.len() > 160 {
                keep("index", &[&[0], &bytes[bytes.len() - 128..]].concat());
            }
        }
        if !whole.is_empty() {
            keep("store", &whole);
        }
    }
    let row = |value: &str| format!("a/1,b,c,2026-01-01T00:00Z,{value}\n");
    keep("csv", row("1").as_bytes());
    keep(
        "csv",
        b"value,minute,metric,branch,release\r\n\"1,5\",\"a\"\"b\",,x\r\n",
    );
    let object =
        r#"{"release":"a","branch":"b","metric":"c","minute":"2026-01-01T00:00Z","value":-1.5e3}"#;
    keep("ndjson", object.as_bytes());
    for text in ["2026-11-22T10:41Z", "-12.345e-2", "a*b?c\\*", "fox/1.0/*"] {
        keep("text", text.as_bytes());
    }
    let mut question = vec![0; 13];
    question.extend_from_slice(b"\0\0\0r/*\0*\0a\0a");
    keep("query", &question);
    question[12] = 0xff;
    keep("query", &question);
    for tags in 0..=u8::MAX {
        if (1..=6).contains(&(tags & 15)) && tags >> 4 < 10 && tags % 3 == 0 {
            keep("columns", &[tags, 0, 255, 4, 8, 1, 0, 1, 2, 3, 4, 5, 6, 7]);
        }
    }
    keep("cold", &[9, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    keep("page", &[0, 0x11, 4]);
    keep("segment", &[1, 2, 0, 0, 5]);
    keep("directory", &[1, 2, 3, 4, 5, 6, 7, 8]);
    keep(
        "ops",
        &[
            0x60, 1, 2, 0x33, 3, 0x61, 9, 8, 7, 4, 2, 8, 7, 0x25, 6, 0x40, 1, 5, 8,
        ],
    );
    println!("{kept} seeds");
}
