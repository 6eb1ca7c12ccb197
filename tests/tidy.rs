//! What a reader of this repository relies on and a compiler can not see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A room imports from its own floor and those below.
const FLOORS: [&[&str]; 8] = [
    &["error", "limits"],
    &["model"],
    &["codec"],
    &["format"],
    &["storage"],
    &["engine"],
    &["query"],
    &["health", "adapters"],
];

/// Lines of the longest file there may be, its tests included.
const FILE_LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory that are part of the repository.
fn files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(below)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let own = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            if path.is_file() {
                found.push(path);
            } else if ![".git", "target", "artifacts", "corpus"].contains(&own) {
                directories.push(path);
            }
        }
    }
    found.sort();
    found
}

fn with_extension(below: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = files(below);
    found.retain(|path| path.extension().is_some_and(|own| own == extension));
    found
}

/// Rust of the library, its tests, benches and examples.
fn rust() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"]
        .iter()
        .flat_map(|below| with_extension(below, "rs"))
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Whether a file is tests and nothing else.
fn is_test(path: &Path) -> bool {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("");
    let inside = path.components().any(|part| part.as_os_str() == "tests");
    inside
        || stem == "tests"
        || stem.ends_with("_tests")
        || ["documents", "disk_suite"].contains(&stem)
}

/// What of a file is code of the crate: no comments, nothing from its tests on.
fn production(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines();
    lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Which room each name that `lib.rs` exports comes from.
fn exports() -> BTreeMap<String, String> {
    let library = production(&read(&root().join("src/lib.rs")));
    let mut exports = BTreeMap::new();
    for statement in library.split("pub use ").skip(1) {
        let statement = &statement[..statement.find(';').unwrap()];
        let room = identifier(statement).to_owned();
        let last = statement.rsplit("::").next().unwrap();
        for name in last.split(|c: char| !c.is_alphanumeric() && c != '_') {
            exports.insert(name.to_owned(), room.clone());
        }
    }
    exports
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn rooms_import_only_from_below() {
    let exports = exports();
    let mut wrong = Vec::new();
    for path in with_extension("src", "rs") {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let room = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let room = room.strip_suffix(".rs").unwrap_or(room);
        let Some(own) = floor(room).filter(|_| !is_test(&path)) else {
            continue;
        };
        let text = production(&read(&path));
        for (at, _) in text.match_indices("crate::") {
            let name = identifier(&text[at + "crate::".len()..]);
            let target = exports.get(name).map_or(name, String::as_str);
            match floor(target) {
                Some(other) if other < own || target == room => {}
                _ => wrong.push(format!("{}: crate::{name}", shown(&path))),
            }
        }
    }
    none("imports that do not go down", wrong);
}

#[test]
fn every_room_has_a_floor() {
    let library = production(&read(&root().join("src/lib.rs")));
    let modules = library.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    let homeless = modules
        .filter(|room| floor(room).is_none())
        .map(str::to_owned)
        .collect();
    none("rooms without a floor", homeless);
}

#[test]
fn every_file_is_a_module_of_another() {
    let mut dead = Vec::new();
    for path in with_extension("src", "rs") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let directory = path.parent().unwrap();
        let (directory, stem) = match stem {
            "lib" | "main" => continue,
            "mod" => (
                directory.parent().unwrap(),
                directory.file_name().unwrap().to_str().unwrap(),
            ),
            _ => (directory, stem),
        };
        let beside = directory.with_extension("rs");
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|parent| directory.join(parent));
        let needle = format!("mod {stem};");
        let named = parents.into_iter().chain([beside]).any(|parent| {
            let text = fs::read_to_string(parent).unwrap_or_default();
            text.lines().any(|line| {
                line.trim_start_matches("pub ")
                    .trim_start_matches("pub(crate) ")
                    == needle
            })
        });
        if !named {
            dead.push(shown(&path));
        }
    }
    none("files that are in no module", dead);
}

#[test]
fn files_are_short() {
    let long = with_extension("src", "rs").into_iter().filter_map(|path| {
        let lines = read(&path).lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", shown(&path)))
    });
    none("files that are too long", long.collect());
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let vague = ["if an I/O error", " occurs"].concat();
    let mut found = Vec::new();
    for path in rust().into_iter().chain(markdown()) {
        for (line, text) in read(&path).lines().enumerate() {
            let mut tokens = text.split(|c: char| !c.is_alphanumeric());
            if tokens.any(|token| words.iter().any(|word| word == token)) || text.contains(&vague) {
                found.push(format!("{}:{}: {text}", shown(&path), line + 1));
            }
        }
    }
    none("left for later", found);
}

/// `matches!` as a statement of its own checks nothing: it must feed an
/// assertion, a condition or a closure.
#[test]
fn every_match_is_used() {
    let needle = ["matches", "!("].concat();
    let mut unused = Vec::new();
    for path in rust() {
        let text = read(&path);
        for (at, _) in text.match_indices(&needle) {
            let before = text[..at].trim_end().chars().next_back();
            let mut depth = 0;
            let close = text[at..].find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ')' && depth == 0
            });
            let after = close.map_or("", |close| text[at + close + 1..].trim_start());
            if before.is_some_and(|c| ";{}".contains(c)) && after.starts_with(';') {
                let line = text[..at].lines().count();
                unused.push(format!("{}:{line}", shown(&path)));
            }
        }
    }
    none("matches without an assertion", unused);
}

fn markdown() -> Vec<PathBuf> {
    let mut documents = with_extension("docs", "md");
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    documents.retain(|path| path.exists());
    documents
}

/// A document without its code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for path in markdown() {
        let text = prose(&read(&path));
        for (at, _) in text.match_indices("](") {
            let target = &text[at + 2..];
            let target = &target[..target.find(')').unwrap_or(0)];
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            let leads = file.exists()
                && (heading.is_empty()
                    || prose(&read(&file)).lines().any(|line| {
                        line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading
                    }));
            if !leads {
                broken.push(format!("{}: {target}", shown(&path)));
            }
        }
    }
    none("links that lead nowhere", broken);
}

#[test]
fn every_document_a_comment_names_is_there() {
    let mut missing = Vec::new();
    for path in rust() {
        let text = read(&path);
        for (at, _) in text.match_indices("docs/") {
            let end = text[at..].find(|c: char| !c.is_alphanumeric() && !"/._-".contains(c));
            let name = text[at..][..end.unwrap_or(0)].trim_end_matches('.');
            let there = root().join(name).exists();
            if name.ends_with(".md") && !name.contains("NNNN") && !there {
                missing.push(format!("{}: {name}", shown(&path)));
            }
        }
    }
    none("documents that are not there", missing);
}

#[test]
fn decisions_are_numbered_once() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let index = read(&root().join("docs/decisions/README.md"));
    for path in with_extension("docs/decisions", "md") {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "README.md" {
            continue;
        }
        let number = name.split('-').next().unwrap();
        let title = read(&path).lines().next().unwrap_or("").to_owned();
        let titled = title
            .strip_prefix("# ")
            .and_then(|title| title.split_once(". "));
        let fine = number.len() == 4
            && index.contains(name)
            && seen.insert(number.to_owned())
            && titled.is_some_and(|(own, _)| own.parse::<u32>().ok() == number.parse().ok());
        if !fine {
            wrong.push(format!("{name}: {title}"));
        }
    }
    none(
        "decisions whose number, title or entry in the index is wrong",
        wrong,
    );
}

#[test]
fn the_readme_lists_the_features() {
    let manifest = read(&root().join("Cargo.toml"));
    let (_, section) = manifest.split_once("[features]\n").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let declared = section
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
    let declared: BTreeSet<String> = declared.collect();
    let readme = read(&root().join("README.md"));
    let (_, table) = readme.split_once("| Feature |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<String> = rows
        .map(|row| row.split('`').nth(1).unwrap_or(row).to_owned())
        .collect();
    assert_eq!(listed, declared);
}

/// Paths that every system can check out.
#[test]
fn paths_are_plain() {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let mut seen = BTreeSet::new();
    let odd = ["src", "tests", "docs", "benches", "fuzz", "examples", ".ci"]
        .iter()
        .flat_map(|below| files(below))
        .map(|path| shown(&path).replace('\\', "/"))
        .filter(|path| !path.chars().all(plain) || !seen.insert(path.to_lowercase()))
        .collect();
    none(
        "paths with odd characters, or that differ in case alone",
        odd,
    );
}
