//! Power cuts and kills.

use super::*;

#[test]
fn an_unsynced_write_may_be_lost_or_kept() {
    let (disk, file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"new"), some(b"old")]);
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"new")]);
}

#[test]
fn unsynced_writes_are_lost_in_any_combination() {
    let (disk, file) = disk_with(&[b'.'; 1536]);
    for sector in 0..3 {
        file.write_at(sector * 512, b"x").unwrap();
    }
    assert_eq!(disk.unsynced().len(), 3);
    assert_eq!(outcomes(&disk, "a").len(), 8);
}

#[test]
fn what_a_crash_may_lose_is_listed() {
    let (disk, file) = disk_with(b"four");
    file.write_at(2, b"xyz").unwrap();
    file.write_at(0, b"x").unwrap();
    disk.rename("a", "b").unwrap();
    file.set_len(3).unwrap();
    let unnamed = disk.open("c", Open::Create).unwrap();
    disk.remove("c").unwrap();
    unnamed.write_at(0, b"nobody sees this").unwrap();
    let write = |offset, length, grown| Change::Write {
        offset,
        length,
        grown,
    };
    let expected = [
        ("b", write(2, 3, 1)),
        ("b", write(0, 1, 0)),
        ("a", Change::Rename { to: "b".into() }),
        ("b", Change::SetLen { from: 5, to: 3 }),
        ("c", Change::Create),
        ("c", Change::Remove),
    ];
    let unsynced = disk.unsynced();
    assert_eq!(unsynced.len(), 7);
    for (effect, (file, change)) in unsynced.iter().zip(expected) {
        assert_eq!((effect.file.as_str(), &effect.change), (file, &change));
    }
    disk.sync_dir().unwrap();
    assert_eq!(disk.unsynced().len(), 3);
    file.sync().unwrap();
    assert!(disk.unsynced().is_empty());
}

/// A cut that was lost, and a write after it that was not: the sector is as the
/// cache had it then, zeros beyond the end and all.
#[test]
fn an_unsynced_length_may_be_lost() {
    let (disk, file) = disk_with(b"whole");
    file.set_len(2).unwrap();
    file.set_len(4).unwrap();
    assert_eq!(
        outcomes(&disk, "a"),
        [some(b"wh"), some(b"wh\0\0"), some(b"whol"), some(b"whole")]
    );
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"wh\0\0")]);
}

/// Found on ext4 and on xfs, which zero the rest of a page before they log the
/// new length.
#[test]
fn an_unsynced_creation_may_be_lost_with_all_that_was_synced_under_it() {
    let disk = SimDisk::new(7);
    let file = disk.open("a", Open::Create).unwrap();
    file.write_at(0, b"synced").unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, some(b"synced")]);
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"synced")]);
}

#[test]
fn a_synced_name_may_lead_to_an_empty_file() {
    let disk = SimDisk::new(7);
    let file = disk.open("a", Open::Create).unwrap();
    file.write_at(0, b"unsynced").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b""), some(b"unsynced")]);
}

#[test]
fn a_renaming_is_undone_or_done_and_never_both() {
    let (disk, _file) = disk_with(b"old");
    disk.put("b", b"new");
    disk.rename("b", "a").unwrap();
    let undone = disk.crash_with_subset(0);
    assert_eq!(undone.names(), ["a", "b"]);
    assert_eq!(undone.content("a").unwrap(), b"old");
    let done = disk.crash_with_subset(1);
    assert_eq!(done.names(), ["a"]);
    assert_eq!(done.content("a").unwrap(), b"new");
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"new")]);
    assert_eq!(outcomes(&disk, "b"), [None]);
}

#[test]
fn a_file_renamed_twice_has_one_name() {
    let disk = SimDisk::new(7);
    disk.put("a", b"a");
    disk.rename("a", "b").unwrap();
    disk.rename("b", "c").unwrap();
    let names: Vec<_> = disk.crashes(0).map(|after| after.names()).collect();
    assert_eq!(names, [["a"], ["b"], ["c"], ["c"]]);
}

#[test]
fn a_removal_may_be_undone() {
    let (disk, _file) = disk_with(b"old");
    disk.remove("a").unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, some(b"old")]);
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [None]);
}

#[test]
fn a_removed_name_used_again_leads_to_either_file() {
    let (disk, _file) = disk_with(b"old");
    disk.remove("a").unwrap();
    let file = disk.open("a", Open::Create).unwrap();
    file.write_at(0, b"new").unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, some(b"new"), some(b"old")]);
}

/// All that the random cuts should do, they do within a few hundred seeds.
#[test]
fn many_effects_are_sampled() {
    let (disk, file) = disk_with(b"");
    for sector in 0..10 {
        file.write_at(sector * 512, b"x").unwrap();
    }
    assert_eq!(disk.crashes(5).count(), 1024 + 5);
    file.write_at(10 * 512, b"x").unwrap();
    let lengths: Vec<_> = disk
        .crashes(5)
        .map(|after| after.content("a").unwrap().len())
        .collect();
    assert_eq!(lengths.len(), 7);
    assert_eq!(lengths[..2], [0, 10 * 512 + 1]);
}

#[test]
fn a_seed_says_all() {
    let run = |seed| {
        let (disk, file) = disk_with(b"old");
        file.write_at(1, &[b'n'; 3000]).unwrap();
        disk.crash_random(seed).content("a").unwrap()
    };
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}

/// The disk against the simplest account of itself: what is visible, and what
/// was when it was last synced.
#[test]
fn durable_is_what_was_synced_and_visible_what_was_written() {
    let mut random = Random::new(11);
    for round in 0..200 {
        let (disk, file) = disk_with(b"");
        let (mut visible, mut durable) = (Vec::new(), Vec::new());
        for _ in 0..random.below(40) {
            match random.below(10) {
                0..6 => {
                    let offset = random.below(2_000) as usize;
                    let bytes = vec![random.bits() as u8; random.below(900) as usize + 1];
                    let end = offset + bytes.len();
                    visible.resize(visible.len().max(end), 0);
                    visible[offset..end].copy_from_slice(&bytes);
                    file.write_at(offset as u64, &bytes).unwrap();
                }
                6..8 => {
                    let length = random.below(2_500);
                    visible.resize(length as usize, 0);
                    file.set_len(length).unwrap();
                }
                _ => {
                    durable.clone_from(&visible);
                    file.sync().unwrap();
                }
            }
        }
        let lost = disk.crash(&mut |_: &Unsynced| Fate::Lost);
        let kept = disk.crash(&mut |_: &Unsynced| Fate::Whole);
        assert_eq!(disk.content("a").unwrap(), visible, "round {round}");
        assert_eq!(kept.content("a").unwrap(), visible, "round {round}");
        assert_eq!(kept.kill().content("a").unwrap(), visible);
        assert_eq!(lost.content("a").unwrap(), durable, "round {round}");
        assert!(lost.unsynced().is_empty());
    }
}

#[test]
fn a_disk_goes_on_after_a_crash_and_crashes_again() {
    let (disk, file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    let after = disk.crash_with_subset(1);
    let again = after.open("a", Open::Write).unwrap();
    again.write_at(3, b"er").unwrap();
    assert_eq!(outcomes(&after, "a"), [some(b"new"), some(b"newer")]);
    again.sync().unwrap();
    assert_eq!(after.crash_with_subset(0).content("a").unwrap(), b"newer");
    assert_eq!(disk.content("a").unwrap(), b"new");
}

#[test]
fn a_kill_loses_nothing_and_frees_the_lock() {
    let (disk, file) = disk_with(b"old");
    let _lock = disk.lock("LOCK", true).unwrap().unwrap();
    file.write_at(0, b"new").unwrap();
    disk.crash_after_call(0);
    let killed = disk.kill();
    assert_eq!(killed.content("a").unwrap(), b"new");
    assert!(killed.lock("LOCK", true).unwrap().is_some());
    // And the cache is still a cache: a power cut now may lose it.
    assert_eq!(outcomes(&killed, "a"), [some(b"new"), some(b"old")]);
    file.write_at(0, b"dead").unwrap_err();
    assert_eq!(killed.content("a").unwrap(), b"new");
}

#[test]
fn a_crash_frees_the_lock() {
    let disk = SimDisk::new(7);
    let _lock = disk.lock("LOCK", true).unwrap().unwrap();
    for after in disk.crashes(0) {
        assert!(after.lock("LOCK", true).unwrap().is_some());
    }
    assert!(disk.lock("LOCK", true).unwrap().is_none());
}

/// Why the lock file stays: without its name a second holder locks another.
#[test]
fn a_lock_belongs_to_the_file_and_not_to_its_name() {
    let disk = SimDisk::new(7);
    let _first = disk.lock("LOCK", true).unwrap().unwrap();
    disk.remove("LOCK").unwrap();
    assert!(disk.lock("LOCK", true).unwrap().is_some());
}
