//! Effects of which a part reached the medium.

use super::*;

#[test]
fn a_sector_holds_one_state_of_the_cache() {
    let (disk, file) = disk_with(b"");
    file.write_at(0, b"one").unwrap();
    file.write_at(3, b"two").unwrap();
    assert_eq!(
        outcomes(&disk, "a"),
        [some(b""), some(b"one"), some(b"onetwo")]
    );
}

#[test]
fn a_sector_remembers_a_lost_cut() {
    let (disk, file) = disk_with(&[b'o'; 600]);
    file.set_len(4).unwrap();
    file.write_at(0, b"new").unwrap();
    let content = disk.crash_with_subset(0b10).content("a").unwrap();
    assert_eq!(content.len(), 600);
    assert_eq!(&content[..6], b"newo\0\0");
    assert_eq!(content[511..513], [0, b'o']);
}

#[test]
fn an_unsynced_cut_may_leave_zeros_and_no_cut() {
    let (disk, file) = disk_with(&[b'o'; 1100]);
    file.set_len(500).unwrap();
    let torn = |sectors| {
        let after = disk.crash(&mut |_: &Unsynced| {
            Fate::Torn(Tear {
                sectors,
                length: 0,
                filler: Filler::Zeros,
            })
        });
        after.content("a").unwrap()
    };
    let expected = |zeros: std::ops::Range<usize>| {
        let mut content = [b'o'; 1100];
        content[zeros].fill(0);
        content
    };
    assert_eq!(torn(0), expected(0..0));
    assert_eq!(torn(0b1), expected(500..512));
    assert_eq!(torn(0b10), expected(512..1024));
    assert_eq!(torn(u64::MAX), expected(500..1100));
}

#[test]
fn what_was_cut_may_come_back_with_the_length() {
    let (disk, file) = disk_with(&[b'o'; 1100]);
    file.write_at(10, b"lost").unwrap();
    file.set_len(51).unwrap();
    file.write_at(551, &[b'n'; 133]).unwrap();
    let torn = |sectors| {
        let after = disk.crash(&mut |effect: &Unsynced| match effect.change {
            Change::Write { offset: 10, .. } => Fate::Lost,
            Change::Write { .. } => Fate::Torn(Tear {
                sectors,
                length: 133,
                filler: Filler::Own,
            }),
            _ => Fate::Whole,
        });
        after.content("a").unwrap()
    };
    assert_eq!(torn(0), [b'o'; 684]);
    let content = torn(u64::MAX);
    assert_eq!(content[..512], [b'o'; 512]);
    assert_eq!(content[512..551], [0; 39]);
    assert_eq!(content[551..], [b'n'; 133]);
}

#[test]
fn an_unsynced_growth_may_go_part_of_the_way() {
    let (disk, file) = disk_with(b"old");
    file.set_len(1000).unwrap();
    let after = disk.crash(&mut |_: &Unsynced| Fate::prefix(600));
    let content = after.content("a").unwrap();
    assert_eq!(content, [&b"old"[..], &[0; 600]].concat());
}

#[test]
fn a_write_is_torn_between_sectors() {
    let (disk, file) = disk_with(&[b'o'; 1200]);
    file.write_at(100, &[b'n'; 1000]).unwrap();
    let torn = |sectors| {
        let tear = Tear {
            sectors,
            length: 1000,
            filler: Filler::Zeros,
        };
        let after = disk.crash(&mut |_: &Unsynced| Fate::Torn(tear));
        after.content("a").unwrap()
    };
    let expected = |new: std::ops::Range<usize>| {
        let mut content = [b'o'; 1200];
        content[new].fill(b'n');
        content
    };
    assert_eq!(torn(0b000), expected(0..0));
    assert_eq!(torn(0b001), expected(100..512));
    assert_eq!(torn(0b010), expected(512..1024));
    assert_eq!(torn(0b110), expected(512..1100));
    assert_eq!(torn(0b111), expected(100..1100));
}

#[test]
fn an_append_is_torn_at_any_byte() {
    let (disk, file) = disk_with(b"old ");
    file.write_at(4, &[b'n'; 700]).unwrap();
    for kept in 0..=700 {
        let after = disk.crash(&mut |_: &Unsynced| Fate::prefix(kept));
        let content = after.content("a").unwrap();
        assert_eq!(content.len(), 4 + kept as usize);
        assert!(content.starts_with(b"old "));
        assert!(content[4..].iter().all(|byte| *byte == b'n'));
    }
}

#[test]
fn a_length_ahead_of_its_content_shows_zeros_or_stale_bytes() {
    let (disk, file) = disk_with(b"old ");
    disk.put("gone", b"the secret of a removed file");
    disk.remove("gone").unwrap();
    disk.sync_dir().unwrap();
    file.write_at(4, b"new, and never seen whole").unwrap();
    let torn = |filler| {
        let tear = Tear {
            sectors: 0,
            length: 14,
            filler,
        };
        let after = disk.crash(&mut |_: &Unsynced| Fate::Torn(tear));
        after.content("a").unwrap()
    };
    assert_eq!(torn(Filler::Zeros), [&b"old "[..], &[0; 14]].concat());
    assert_eq!(torn(Filler::Stale(0)), b"old secret of a re");
    let (disk, file) = disk_with(b"");
    file.write_at(0, &[0; 64]).unwrap();
    let tear = Tear {
        sectors: 0,
        length: 64,
        filler: Filler::Stale(3),
    };
    let noise = disk.crash(&mut |_: &Unsynced| Fate::Torn(tear));
    assert_ne!(noise.content("a").unwrap(), [0; 64]);
}

#[test]
fn random_crashes_reach_every_sort_of_outcome() {
    let (disk, file) = disk_with(&[b'o'; 1024]);
    file.write_at(0, &[b'n'; 1024]).unwrap();
    file.write_at(1024, &[b'n'; 1024]).unwrap();
    disk.rename("a", "b").unwrap();
    let seen = |wanted: &dyn Fn(&str, &[u8]) -> bool| {
        (0..500).any(|seed| {
            let after = disk.crash_random(seed);
            let name = &after.names()[0];
            wanted(name, &after.content(name).unwrap())
        })
    };
    assert!(seen(&|name, content| name == "a" && content == [b'o'; 1024]));
    assert!(seen(&|name, content| name == "b" && content == [b'n'; 2048]));
    assert!(seen(&|_, content| content[0] != content[512]));
    assert!(seen(&|_, content| content.len() % 512 != 0));
    assert!(seen(
        &|_, content| content.len() == 2048 && content[2047] == 0
    ));
    assert!(seen(&|_, content| content.len() == 2048
        && content[0] == b'o'
        && content[1024] == b'n'));
    assert!(!seen(&|_, content| content.len() < 1024));
}
