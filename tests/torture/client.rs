//! What the survivor knows: what was acknowledged to writers that died.

use super::plan::{FLOORS, Model, WRITERS};
use super::process::Told;

/// All that writers of one store have said.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Of each writer, the last batch acknowledged or found.
    pub acknowledged: [u64; WRITERS],
    /// Of each writer, the last batch that a power cut can not take.
    pub synced: [u64; WRITERS],
    /// Floors asked for and granted.
    pub floors_asked: usize,
    pub floors_granted: usize,
    /// Backups: number, batches in it, whether it was made.
    pub backups: Vec<(usize, u64, bool)>,
    pub failures: Vec<String>,
    /// What it was told that can not be.
    pub wrong: Option<String>,
    pub opened: bool,
    pub ended: bool,
    /// What the store held when it was last looked at.
    pub model: Model,
}

impl Client {
    /// Takes in what was said, all of it before any power cut.
    pub fn hear(&mut self, told: &Told) {
        self.hear_some(told, false, true);
    }

    /// The same, where commits are `synced` or not, and what was said `lasts` or came
    /// while the power went: no answer comes after a real cut, but file systems that are
    /// shut down still answer syncs that were under way.
    pub fn hear_some(&mut self, told: &Told, synced: bool, lasts: bool) {
        match told {
            Told::Start | Told::Held => {}
            Told::Found(writer, number) => {
                self.opened = true;
                let known = &mut self.acknowledged[*writer];
                assert!(
                    *known <= *number,
                    "writer {writer} found {number} batches of {known}"
                );
                *known = *number;
                if lasts {
                    self.synced[*writer] = *number;
                }
            }
            Told::Acknowledged(writer, number) => {
                let known = &mut self.acknowledged[*writer];
                if *number != *known + 1 {
                    let wrong = format!("batch {number} of writer {writer} after {known}");
                    self.wrong.get_or_insert(wrong);
                }
                *known = *number;
                if synced && lasts {
                    self.synced[*writer] = *number;
                }
            }
            Told::Synced(writer, number) if lasts => self.synced[*writer] = *number,
            Told::Synced(..) => {}
            Told::FloorAsked(number) => self.floors_asked = *number,
            Told::Floor(number) => self.floors_granted = *number,
            Told::BackupAsked(number, count) => self.backups.push((*number, *count, false)),
            Told::Backup(number) => {
                let backup = self
                    .backups
                    .iter_mut()
                    .rev()
                    .find(|backup| backup.0 == *number);
                backup.expect("it was asked for").2 = true;
            }
            Told::Failed(why) => self.failures.push(why.clone()),
            Told::End => self.ended = true,
        }
    }

    /// What the store held is what it holds from now on.
    pub fn settle(&mut self, counts: [u64; WRITERS], floor: u32) {
        self.acknowledged = counts;
        self.synced = counts;
        self.floors_granted = FLOORS.iter().filter(|known| **known <= floor).count();
        self.floors_asked = self.floors_granted;
    }
}
