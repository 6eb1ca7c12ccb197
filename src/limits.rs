//! Every limit of the store, each with its reason. Sizes read from disk are
//! held against these before anything is allocated.

/// Minutes of one UTC day: a page holds one series over one day, so that
/// hours and days never cut a page at an odd place.
pub const MINUTES_PER_DAY: u32 = 1_440;

/// Days of one time bucket. Segments never cross a bucket: compaction,
/// retention and pruning all work on buckets.
pub const DAYS_PER_BUCKET: u32 = 32;

/// Minutes of one time bucket.
pub const MINUTES_PER_BUCKET: u32 = MINUTES_PER_DAY * DAYS_PER_BUCKET;

/// The first minute that can not be stored: 2480-05-06T00:00Z, the last bucket
/// boundary below 2^28 minutes. Minutes stay positive in 32-bit arithmetic, and
/// a year typed with four nines is caught.
pub const MINUTE_END: u32 = (1 << 28) / MINUTES_PER_BUCKET * MINUTES_PER_BUCKET;

/// The longest name of a release, branch, metric, source or unit, in bytes.
pub const NAME_BYTES_MAX: usize = 1_024;

/// The most decimals a sum keeps.
pub const DECIMALS_MAX: u8 = 9;

/// The most deltas one batch may hold. A batch is one frame of the
/// write-ahead log and is applied as a whole.
pub const BATCH_DELTAS_MAX: usize = 1 << 18;

/// The largest frame of the write-ahead log, in bytes.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The largest manifest, in bytes: definitions, sources and segments together.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;

/// The most names of one sort (releases, branches or metrics) in one segment.
pub const DICTIONARY_NAMES_MAX: usize = 1 << 20;

/// The largest dictionary of a segment, uncompressed, in bytes.
pub const DICTIONARY_BYTES_MAX: usize = 256 << 20;

/// The most series in one segment.
pub const SEGMENT_SERIES_MAX: usize = 1 << 24;

/// The largest page (one series, one day), encoded, in bytes.
pub const PAGE_BYTES_MAX: usize = 64 << 10;

/// The largest block (one series, one bucket), encoded, in bytes.
pub const BLOCK_BYTES_MAX: usize = DAYS_PER_BUCKET as usize * PAGE_BYTES_MAX + (256 << 10);

/// The most rows of one table. A question beyond it is to be asked in parts,
/// or with longer buckets.
pub const TABLE_ROWS_MAX: usize = 1 << 26;

/// A definition repeated within this many bytes of the write-ahead log does
/// not count as a second copy: one bad sector must not cost both.
pub const WAL_REDEFINE_BYTES: u64 = 4_096;

const _: () = assert!(MINUTE_END.is_multiple_of(MINUTES_PER_BUCKET));
const _: () = assert!(PAGE_BYTES_MAX > MINUTES_PER_DAY as usize * 16 + 1_024);
const _: () = assert!(BLOCK_BYTES_MAX < u32::MAX as usize);
