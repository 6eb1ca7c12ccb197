//! Checking every byte of a store.

use crate::engine::audit;
use crate::engine::published;
use crate::engine::reader::Reader;
use crate::engine::state::State;
use crate::error::{Error, Result};
use crate::format::{audit as audit_format, manifest, published as published_format, wal};
use crate::storage::damage::Damage;
use crate::storage::disk::{Disk, Open};
use crate::storage::segment;

/// What checking found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Everything that is damaged, each with what is lost.
    pub damage: Vec<Damage>,
    /// What is odd and costs nothing: a torn tail after a crash, foreign files.
    pub notes: Vec<String>,
    /// Files checked.
    pub files: usize,
    /// Bytes checked.
    pub bytes: u64,
}

impl Verification {
    /// Whether every byte is what was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

impl Reader {
    /// Checks every byte of every file the store consists of. A writer may go
    /// on meanwhile: the state checked is the one of now.
    ///
    /// # Errors
    /// What the system refuses. Damage is no error here: it is the answer.
    pub fn verify(&self) -> Result<Verification> {
        let snapshot = self.snapshot()?;
        let disk = &**self.disk();
        let mut found = Verification::default();
        found.manifest(disk)?;
        found.segments(&snapshot.state);
        for damage in self.log_damage() {
            let mut entry = Damage::harmless(&damage.file, damage.from, damage.what);
            entry.what = format!(
                "{}: {} bytes after commit {} are lost",
                damage.what,
                damage.to - damage.from,
                damage.after_sequence
            )
            .into();
            found.damage.push(entry);
        }
        let torn = self.torn_bytes();
        if torn > 0 {
            found.notes.push(format!(
                "{torn} bytes at the end of the log are a torn tail of a crash: never acknowledged as durable, dropped"
            ));
        }
        let audit = audit::read(disk)?;
        if let Some((offset, what)) = audit.damage {
            found
                .damage
                .push(Damage::harmless(audit_format::FILE, offset, what));
        }
        if audit.torn_bytes > 0 {
            found.notes.push(format!(
                "{} bytes at the end of the audit log are a record a crash cut short",
                audit.torn_bytes
            ));
        }
        let record = published::published(disk, self.manifest().store_id)?;
        if matches!(record, published::Record::Damaged) {
            found.notes.push(
                "published: the record of a writer is damaged; it costs nothing, and the next opening writes it anew"
                    .to_owned(),
            );
        }
        found.count_files(disk)?;
        Ok(found)
    }
}

impl Verification {
    fn manifest(&mut self, disk: &dyn Disk) -> Result<()> {
        if let Some((_, Some(corrupt))) = crate::storage::manifest::load(disk)? {
            let what = format!("{}; the other copy is whole", corrupt.what);
            self.damage
                .push(Damage::harmless(manifest::FILE, corrupt.at as u64, what));
        }
        Ok(())
    }

    fn segments(&mut self, state: &State) {
        for broken in state.broken.iter() {
            let file = segment::segment_file_name(broken.meta.id);
            let offset = broken.error.offset().unwrap_or(0);
            let lost = broken.meta.first_minute..broken.meta.last_minute + 1;
            let damage = Damage::harmless(&file, offset, broken.error.to_string());
            self.damage.push(damage.losing(None, lost));
        }
        for segment in state.segments.iter() {
            segment.verify(&mut |damage| self.damage.push(damage));
        }
    }

    fn count_files(&mut self, disk: &dyn Disk) -> Result<()> {
        let names = disk
            .list()
            .map_err(|error| Error::io("listing the store", error))?;
        for name in names {
            let own = wal::file_id(&name).is_some()
                || segment::file_id(&name).is_some()
                || [manifest::FILE, audit_format::FILE].contains(&name.as_str());
            if own {
                let length = disk.open(&name, Open::Read).and_then(|file| file.len());
                self.files += 1;
                self.bytes += length.unwrap_or(0);
            } else if ![
                crate::engine::open::LOCK,
                published_format::FILE,
                audit::LOCK,
            ]
            .contains(&name.as_str())
            {
                self.notes.push(format!(
                    "{name} is not a file of this store; it is left alone"
                ));
            }
        }
        Ok(())
    }
}
