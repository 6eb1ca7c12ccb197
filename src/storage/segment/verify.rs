//! Reading every byte of a segment against every checksum and every summary.

use crate::codec::{self, Page};
use crate::format::checksum::hash64;
use crate::format::trailer::file_hash;
use crate::limits::MINUTES_PER_DAY;
use crate::storage::damage::Damage;

use super::Block;
use super::encoded::family_of;
use super::reader::Segment;
use super::series::{SeriesIndex, read_dictionary};

impl Segment {
    /// Checks every byte of the file and tells `report` of all damage: both
    /// copies of the dictionary, the directory, every block and every page
    /// against checksums and summaries, what lies between, and the hash of it
    /// all. Nothing is remembered from earlier reads but what the open found.
    pub fn verify(&self, report: &mut dyn FnMut(Damage)) {
        let mut verifier = Verifier {
            segment: self,
            report,
            found: false,
        };
        verifier.run();
    }

    /// Whether the file is to the last byte what was written: its hash, and
    /// what the manifest says of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.trailer.is_some_and(|(trailer, layout)| {
            self.open_damage.is_empty()
                && hash64(self.slice(0, layout.trailer)) == trailer.hash
                && file_hash(self.slice(layout.trailer, self.meta.bytes)) == self.meta.hash
        })
    }
}

struct Verifier<'a> {
    segment: &'a Segment,
    report: &'a mut dyn FnMut(Damage),
    found: bool,
}

impl Verifier<'_> {
    fn damaged(&mut self, damage: Damage) {
        self.found = true;
        (self.report)(damage);
    }

    fn harmless(&mut self, offset: u64, what: &'static str) {
        self.damaged(Damage::harmless(&self.segment.name, offset, what));
    }

    fn run(&mut self) {
        let segment = self.segment;
        for damage in &segment.open_damage {
            self.damaged(damage.clone());
        }
        match SeriesIndex::load(segment) {
            Ok(index) => {
                for damage in index.damage() {
                    self.damaged(damage.clone());
                }
                self.second_dictionary(&index);
                self.blocks(&index);
            }
            Err(damage) => self.damaged(damage),
        }
        self.padding();
        self.hash();
    }

    /// The copy that is not read as long as the first is sound.
    fn second_dictionary(&mut self, index: &SeriesIndex) {
        let Some((_, layout)) = self.segment.trailer else {
            return;
        };
        let offset = layout.second_dictionary;
        let known_bad = index.damage().iter().any(|damage| damage.offset >= offset);
        match read_dictionary(self.segment, offset) {
            _ if known_bad => {}
            Ok(copy) if copy == *index.dictionary() => {}
            Ok(_) => self.harmless(offset, "the copies of the dictionary differ"),
            Err(damage) => self.damaged(damage),
        }
    }

    fn blocks(&mut self, index: &SeriesIndex) {
        let meta = self.segment.meta;
        let mut cells = 0_u64;
        let (mut first, mut last) = (u32::MAX, 0);
        for entry in index.entries(0..index.len()) {
            cells += u64::from(entry.cells);
            first = first.min(entry.first_minute);
            last = last.max(entry.last_minute);
            match self.segment.read_block(index, &entry) {
                Ok(block) => self.block(&block),
                Err(damage) => self.damaged(damage),
            }
        }
        let same = (cells, index.len() as u64) == (meta.cells, u64::from(meta.series))
            && (first, last) == (meta.first_minute, meta.last_minute);
        // Where series are lost, that is said already.
        if !same && !self.found {
            self.harmless(0, "the series do not add up to what the manifest says");
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        let header = block.header();
        let place = self.segment.place(block.entry().block_offset);
        if header.entry(place, block.bucket()).as_ref() != Ok(block.entry()) {
            let what = "the block's totals are not those in the directory";
            self.harmless(place.offset, what);
        }
        if let Err(damage) = block.read_cold() {
            self.damaged(damage);
            return;
        }
        let (mut first, mut last) = (None, None);
        let mut page = Page::new(family_of(block.kind()));
        for entry in (0..block.page_count()).filter_map(|index| header.page(index)) {
            if let Err(damage) = block.read_page(&entry, &mut page) {
                self.damaged(damage);
                continue;
            }
            let summary = codec::summarize(&page);
            let told = (entry.cells, entry.sum, entry.min, entry.max);
            if (summary.cells, summary.sum, summary.min, summary.max) != told {
                let what = "the page does not add up to what the block's table says";
                self.damaged(block.page_damage(&entry, 0, what));
            }
            let minute = |minute: u16| entry.day * MINUTES_PER_DAY + u32::from(minute);
            first = first.or(page.presence.first().map(minute));
            last = page.presence.last().map(minute).or(last);
        }
        let prefix = header.prefix;
        let told = (
            Some(u32::from(prefix.first_minute)),
            Some(u32::from(prefix.last_minute)),
        );
        if (first, last) != told && !self.found {
            self.harmless(
                place.offset,
                "the block's first and last minute are not those of its pages",
            );
        }
    }

    /// The zeros that align the directory.
    fn padding(&mut self) {
        let Some((_, layout)) = self.segment.trailer else {
            return;
        };
        let bytes = self.segment.slice(layout.blocks_end, layout.directory);
        if bytes.iter().any(|byte| *byte != 0) {
            self.harmless(layout.blocks_end, "padding that is not zero");
        }
    }

    fn hash(&mut self) {
        let Some((trailer, layout)) = self.segment.trailer else {
            return;
        };
        // Damage found above explains a hash that differs.
        if !self.found && hash64(self.segment.slice(0, layout.trailer)) != trailer.hash {
            self.harmless(0, "every checksum holds, but the hash of the file does not");
        }
    }
}
