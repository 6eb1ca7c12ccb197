//! The merged cells of one series in the memtable: windows of 64 minutes, of which
//! the newest lies apart, since nearly all deltas go there.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::window::{Dense, Window};

/// Windows looked at one by one, from the newest on.
const NEAR: usize = 4;

type Shared = Window<Arc<Dense>>;

/// The cells of one series. Cloning is a snapshot.
#[derive(Clone)]
pub struct SeriesCells {
    newest: Window<Box<Dense>>,
    /// Those before it, sorted by number; none until there is one.
    older: Option<Arc<Vec<Shared>>>,
}

/// The older windows of a series, ours alone.
pub struct Older<'a>(&'a mut Vec<Shared>);

impl SeriesCells {
    /// A series without a cell yet, the first of which will be of this window.
    pub fn new(window: u32) -> Self {
        SeriesCells {
            newest: Window::new(window),
            older: None,
        }
    }

    /// The newest window, to be written: that of a number, if there is none newer.
    #[inline]
    pub fn newest(&mut self, number: u32, grown: &mut usize) -> Option<&mut Window<Box<Dense>>> {
        if number < self.newest.number {
            return None;
        }
        if number > self.newest.number {
            self.begin(number, grown);
        }
        Some(&mut self.newest)
    }

    #[cold]
    fn begin(&mut self, number: u32, grown: &mut usize) {
        let before = std::mem::replace(&mut self.newest, Window::new(number));
        self.older(grown).0.push(before.shared());
        *grown += size_of::<Shared>();
    }

    /// The older windows, to be written.
    pub fn older(&mut self, grown: &mut usize) -> Older<'_> {
        let older = self.older.get_or_insert_with(|| {
            *grown += 64;
            Arc::default()
        });
        Older(Arc::make_mut(older))
    }

    /// Loads what joining values to the cells of these minutes will touch.
    pub fn glance(&self, first: u32, last: u32) -> u64 {
        self.newest.glance(first, last)
    }

    /// Visits the cells of `windows` by ascending minute.
    pub fn visit(&self, windows: Range<u32>, each: &mut impl FnMut(u32, i64)) {
        let older = self.older.as_deref().map_or(&[][..], Vec::as_slice);
        let from = older.partition_point(|window| window.number < windows.start);
        let inside = |window: &&Shared| window.number < windows.end;
        older[from..]
            .iter()
            .take_while(inside)
            .for_each(|window| window.visit(each));
        if windows.contains(&self.newest.number) {
            self.newest.visit(each);
        }
    }

    /// The first and last minute, if there is a cell.
    pub fn span(&self) -> Option<(u32, u32)> {
        let mut span: Option<(u32, u32)> = None;
        let mut extend = |minute, _| {
            let (first, last) = span.unwrap_or((minute, minute));
            span = Some((first.min(minute), last.max(minute)));
        };
        if let Some(first) = self.older.as_deref().and_then(|older| older.first()) {
            first.visit(&mut extend);
        }
        self.newest.visit(&mut extend);
        span
    }
}

impl Older<'_> {
    /// The window of a number before the newest, to be written.
    pub fn window(&mut self, number: u32, grown: &mut usize) -> &mut Window<Arc<Dense>> {
        let index = self.place(number).unwrap_or_else(|index| {
            *grown += size_of::<Shared>();
            self.0.insert(index, Window::new(number));
            index
        });
        &mut self.0[index]
    }

    /// Where the window of a number is, or belongs. Late deltas are a few windows
    /// late as a rule, and those lie side by side at the end: halving would touch
    /// memory all over.
    fn place(&self, number: u32) -> Result<usize, usize> {
        let near = self.0.len().saturating_sub(NEAR);
        for (index, window) in self.0.iter().enumerate().skip(near).rev() {
            match window.number.cmp(&number) {
                Ordering::Equal => return Ok(index),
                Ordering::Less => return Err(index + 1),
                Ordering::Greater => {}
            }
        }
        self.0[..near].binary_search_by_key(&number, |window| window.number)
    }
}
