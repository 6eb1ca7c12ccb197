//! Stores that are hurt, or from the future.

use std::fs;

/// Segments are read-only files: another takes the place of one.
fn overwrite(path: &std::path::Path, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    fs::remove_file(path)?;
    fs::write(path, bytes)
}

use crate::support::{HEADER, Home, says};

/// A compacted store with a segment, and what it answers.
fn compacted() -> Home {
    let home = Home::new();
    let rows: String = (0..600)
        .map(|at| {
            format!(
                "r{},a,m,2026-01-01T{:02}:{:02}Z,{at}\n",
                at % 3,
                at / 60,
                at % 60
            )
        })
        .collect();
    home.write("a.csv", format!("{HEADER}{rows}"));
    home.ok(&[
        "import",
        "s",
        "a.csv",
        "--define-missing",
        "--source",
        "feed",
    ]);
    home.ok(&["compact", "s"]);
    home
}

fn segment(home: &Home) -> String {
    let name =
        |(path, _): &(std::path::PathBuf, Vec<u8>)| path.file_name()?.to_str().map(str::to_owned);
    let files = home.image("s");
    files
        .iter()
        .filter_map(name)
        .find(|name| name.ends_with(".seg"))
        .expect("a segment")
}

#[test]
fn verify_names_what_is_lost_and_repair_keeps_the_rest() {
    let home = compacted();
    assert_eq!(home.ok(&["verify", "s"]), "");
    let sound = home.rows(&["--every", "1m"]);
    let file = segment(&home);
    let path = home.path("s").join(&file);
    let mut bytes = fs::read(&path).unwrap();
    // Inside the last block.
    let at = bytes.len() * 2 / 5;
    bytes[at] ^= 0x10;
    overwrite(&path, &bytes).unwrap();
    let ran = home.run(&["verify", "s"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    says(
        &ran.out,
        &[&file, "at byte", "lost are cells of", "2026-01-01T"],
    );
    says(&ran.err, &["repair"]);
    home.ok(&["repair", "s"]);
    assert_eq!(home.ok(&["verify", "s"]), "", "mended");
    let kept = home.rows(&["--every", "1m"]);
    assert!(
        !kept.is_empty() && kept.len() < sound.len(),
        "{} of {}",
        kept.len(),
        sound.len()
    );
    assert!(
        kept.iter().all(|row| sound.contains(row)),
        "what is kept is what was there"
    );
}

#[test]
fn a_segment_cut_short() {
    let home = compacted();
    let file = segment(&home);
    let path = home.path("s").join(&file);
    let bytes = fs::read(&path).unwrap();
    let sound = home.ok(&["query", "s"]);
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        overwrite(&path, &bytes[..length]).unwrap();
        let ran = home.run(&["query", "s"]);
        says(&ran.err, &[&file]);
        // What has no block can be made anew from the blocks: with a warning
        // the answer is whole, and otherwise there is none.
        if ran.code == Some(0) {
            assert_eq!(ran.out, sound, "{length} bytes");
        } else {
            ran.failed();
        }
        assert_eq!(home.run(&["verify", "s"]).code, Some(1));
        says(&home.ok(&["inspect", "s"]), &["DAMAGED"]);
    }
    overwrite(&path, &bytes).unwrap();
    assert_eq!(home.rows(&["--every", "1m"]).len(), 600);
}

#[test]
fn a_manifest_cut_short_or_empty() {
    let home = compacted();
    let path = home.path("s/MANIFEST");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 1, 40] {
        overwrite(&path, &bytes[..length]).unwrap();
        for command in [
            &["query", "s"][..],
            &["inspect", "s"],
            &["import", "s", "a.csv"],
        ] {
            says(&home.fails(command), &["MANIFEST"]);
        }
    }
    overwrite(&path, &bytes).unwrap();
    assert_eq!(home.rows(&["--every", "1m"]).len(), 600);
}

#[test]
fn a_store_of_a_newer_format() {
    let home = compacted();
    let path = home.path("s/MANIFEST");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    for copy in [0, half] {
        bytes[copy + 8..copy + 10].copy_from_slice(&9_u16.to_le_bytes());
        let crc = header_crc(&bytes[copy..copy + 28], copy as u64);
        bytes[copy + 28..copy + 32].copy_from_slice(&crc.to_le_bytes());
    }
    overwrite(&path, &bytes).unwrap();
    let image = home.image("s");
    for command in [
        &["query", "s"][..],
        &["inspect", "s"],
        &["verify", "s"],
        &["repair", "s"],
        &["compact", "s"],
        &["import", "s", "a.csv"],
    ] {
        says(&home.fails(command), &["version", "9"]);
    }
    assert!(home.image("s") == image, "not a byte was touched");
}

/// The checksum of a header of the manifest: over its generation, its offset
/// in the file, and its bytes.
fn header_crc(header: &[u8], offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[16..24]);
    hasher.update(&offset.to_le_bytes());
    hasher.update(header);
    hasher.finalize()
}
