//! The few calls of DuckDB's C interface that are needed, in a library that is
//! loaded as it runs: building DuckDB takes an hour, and its makers ship it.
//!
//! Measured inside the process, as the other stores are.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;

use libloading::Library;
use libloading::os::unix;

use crate::Outcome;

type Handle = *mut c_void;

/// DuckDB's `duckdb_result`, which is passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawResult {
    counts: [u64; 3],
    columns: Handle,
    message: *mut c_char,
    internal: Handle,
}

impl RawResult {
    const EMPTY: RawResult = RawResult {
        counts: [0; 3],
        columns: std::ptr::null_mut(),
        message: std::ptr::null_mut(),
        internal: std::ptr::null_mut(),
    };
}

macro_rules! calls {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Calls { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }
        impl Calls {
            fn find(library: &'static Library) -> Outcome<Self> {
                Ok(Calls { $(
                    // SAFETY: the signature is that of duckdb.h for this name.
                    $name: *unsafe { library.get(concat!("duckdb_", stringify!($name)).as_bytes()) }?,
                )* })
            }
        }
    };
}

calls! {
    library_version() -> *const c_char;
    open(*const c_char, *mut Handle) -> u32;
    connect(Handle, *mut Handle) -> u32;
    disconnect(*mut Handle);
    close(*mut Handle);
    query(Handle, *const c_char, *mut RawResult) -> u32;
    result_error(*mut RawResult) -> *const c_char;
    destroy_result(*mut RawResult);
    fetch_chunk(RawResult) -> Handle;
    prepare(Handle, *const c_char, *mut Handle) -> u32;
    bind_int32(Handle, u64, i32) -> u32;
    execute_prepared(Handle, *mut RawResult) -> u32;
    data_chunk_get_size(Handle) -> u64;
    data_chunk_set_size(Handle, u64);
    data_chunk_get_vector(Handle, u64) -> Handle;
    data_chunk_reset(Handle);
    vector_get_data(Handle) -> Handle;
    destroy_data_chunk(*mut Handle);
    create_logical_type(u32) -> Handle;
    create_data_chunk(*mut Handle, u64) -> Handle;
    appender_create(Handle, *const c_char, *const c_char, *mut Handle) -> u32;
    appender_error(Handle) -> *const c_char;
    append_data_chunk(Handle, Handle) -> u32;
    appender_flush(Handle) -> u32;
    appender_destroy(*mut Handle) -> u32;
}

/// Rows of a data chunk.
pub const CHUNK: usize = 2_048;

/// Types of columns, as `duckdb.h` numbers them.
pub const INTEGER: u32 = 4;
pub const BIGINT: u32 = 5;
pub const UTINYINT: u32 = 6;

/// An open database with one connection.
pub struct Duckdb {
    calls: Calls,
    database: Handle,
    connection: Handle,
}

fn text(words: &str) -> Outcome<CString> {
    Ok(CString::new(words)?)
}

/// # Safety
/// `words` is null or a C string.
unsafe fn told(words: *const c_char) -> String {
    if words.is_null() {
        return "no reason given".to_owned();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(words) }
        .to_string_lossy()
        .into_owned()
}

impl Duckdb {
    /// Opens a database file, or one in memory.
    pub fn open(library: &Path, file: Option<&Path>) -> Outcome<Self> {
        if let Some(python) = std::env::var_os("LIBPYTHON") {
            // SAFETY: loading runs the library's initializers, Python's own.
            let python =
                unsafe { unix::Library::open(Some(python), unix::RTLD_NOW | unix::RTLD_GLOBAL) }?;
            // It stays loaded.
            std::mem::forget(python);
        }
        // SAFETY: loading runs the library's initializers, DuckDB's own.
        let library = unsafe { unix::Library::open(Some(library), unix::RTLD_LAZY) }?;
        let library: &'static Library = Box::leak(Box::new(library.into()));
        let calls = Calls::find(library)?;
        let file = file
            .map(|file| text(&file.display().to_string()))
            .transpose()?;
        let file = file.as_ref().map_or(std::ptr::null(), |file| file.as_ptr());
        let (mut database, mut connection) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the file's name is a C string or null, and both handles are out pointers.
        let failed = unsafe {
            (calls.open)(file, &mut database) != 0
                || (calls.connect)(database, &mut connection) != 0
        };
        if failed {
            return Err("DuckDB does not open".into());
        }
        Ok(Duckdb {
            calls,
            database,
            connection,
        })
    }

    pub fn version(&self) -> String {
        // SAFETY: it is a constant C string.
        unsafe { told((self.calls.library_version)()) }
    }

    /// Runs statements that answer nothing.
    pub fn run(&self, sql: &str) -> Outcome {
        self.ask(sql, |_| Ok(()))
    }

    /// Asks, and hands every chunk of the answer to `each`.
    pub fn ask(&self, sql: &str, each: impl FnMut(&Chunk<'_>) -> Outcome) -> Outcome {
        let sql = text(sql)?;
        let mut result = RawResult::EMPTY;
        // SAFETY: an open connection, a C string, and a result to be filled.
        let state = unsafe { (self.calls.query)(self.connection, sql.as_ptr(), &mut result) };
        self.finish(state, result, each)
    }

    fn finish(
        &self,
        state: u32,
        mut result: RawResult,
        mut each: impl FnMut(&Chunk<'_>) -> Outcome,
    ) -> Outcome {
        let mut outcome = match state {
            0 => Ok(()),
            // SAFETY: the result was filled by a call that failed.
            _ => Err(unsafe { told((self.calls.result_error)(&mut result)) }.into()),
        };
        while outcome.is_ok() {
            // SAFETY: the result was filled by a call that succeeded.
            let mut chunk = unsafe { (self.calls.fetch_chunk)(result) };
            if chunk.is_null() {
                break;
            }
            outcome = each(&Chunk {
                chunk,
                duckdb: self,
            });
            // SAFETY: the chunk was fetched, and nothing borrows it any more.
            unsafe { (self.calls.destroy_data_chunk)(&mut chunk) };
        }
        // SAFETY: the result was filled, and is used no more.
        unsafe { (self.calls.destroy_result)(&mut result) };
        outcome
    }

    pub fn prepare(&self, sql: &str) -> Outcome<Prepared> {
        let sql = text(sql)?;
        let mut statement = std::ptr::null_mut();
        // SAFETY: an open connection, a C string, and an out pointer.
        match unsafe { (self.calls.prepare)(self.connection, sql.as_ptr(), &mut statement) } {
            0 => Ok(Prepared(statement)),
            _ => Err("a statement does not prepare".into()),
        }
    }

    /// Asks a prepared question with integers for its parameters.
    pub fn ask_prepared(
        &self,
        prepared: &Prepared,
        parameters: &[u32],
        each: impl FnMut(&Chunk<'_>) -> Outcome,
    ) -> Outcome {
        for (place, parameter) in (1..).zip(parameters) {
            // SAFETY: a statement of this connection.
            if unsafe { (self.calls.bind_int32)(prepared.0, place, *parameter as i32) } != 0 {
                return Err("a parameter is not taken".into());
            }
        }
        let mut result = RawResult::EMPTY;
        // SAFETY: a statement with all its parameters, and a result to be filled.
        let state = unsafe { (self.calls.execute_prepared)(prepared.0, &mut result) };
        self.finish(state, result, each)
    }

    /// Appends rows to a table, chunk by chunk; `fill` is told the columns and
    /// how many rows to write from which on.
    pub fn append<'f>(
        &self,
        table: &str,
        types: &[u32],
        rows: usize,
        mut fill: impl FnMut(&mut Columns<'_>, std::ops::Range<usize>) + 'f,
    ) -> Outcome {
        let table = text(table)?;
        let calls = &self.calls;
        let mut appender = std::ptr::null_mut();
        // SAFETY: an open connection, C strings, and out pointers; the logical
        // types are few and leak.
        let mut chunk = unsafe {
            let state = (calls.appender_create)(
                self.connection,
                std::ptr::null(),
                table.as_ptr(),
                &mut appender,
            );
            if state != 0 {
                return Err(told((calls.appender_error)(appender)).into());
            }
            let mut types: Vec<Handle> = types
                .iter()
                .map(|number| (calls.create_logical_type)(*number))
                .collect();
            (calls.create_data_chunk)(types.as_mut_ptr(), types.len() as u64)
        };
        let mut failed = false;
        for first in (0..rows).step_by(CHUNK) {
            let count = CHUNK.min(rows - first);
            fill(&mut Columns { chunk, calls }, first..first + count);
            // SAFETY: `count` rows of every column were written.
            failed |= unsafe {
                (calls.data_chunk_set_size)(chunk, count as u64);
                let state = (calls.append_data_chunk)(appender, chunk);
                (calls.data_chunk_reset)(chunk);
                state != 0
            };
        }
        // SAFETY: both are open and used no more.
        unsafe {
            failed |= (calls.appender_flush)(appender) != 0;
            let outcome = match failed {
                true => Err(told((calls.appender_error)(appender)).into()),
                false => Ok(()),
            };
            (calls.appender_destroy)(&mut appender);
            (calls.destroy_data_chunk)(&mut chunk);
            outcome
        }
    }
}

impl Drop for Duckdb {
    fn drop(&mut self) {
        // SAFETY: both are open and used no more.
        unsafe {
            (self.calls.disconnect)(&mut self.connection);
            (self.calls.close)(&mut self.database);
        }
    }
}

/// A prepared statement; it lives as long as the process.
pub struct Prepared(Handle);

/// Some rows of an answer.
pub struct Chunk<'d> {
    chunk: Handle,
    duckdb: &'d Duckdb,
}

impl Chunk<'_> {
    /// A column as the type the question gives it.
    ///
    /// # Safety
    /// `T` is the column's type.
    pub unsafe fn column<T>(&self, number: u64) -> &[T] {
        let calls = &self.duckdb.calls;
        // SAFETY: the chunk is alive as long as `self`, its columns have as
        // many values as it has rows, and their type is `T`.
        unsafe {
            let vector = (calls.data_chunk_get_vector)(self.chunk, number);
            let rows = (calls.data_chunk_get_size)(self.chunk) as usize;
            std::slice::from_raw_parts((calls.vector_get_data)(vector).cast(), rows)
        }
    }
}

/// Columns of a chunk that is being filled.
pub struct Columns<'d> {
    chunk: Handle,
    calls: &'d Calls,
}

impl Columns<'_> {
    /// Writes values of a column.
    ///
    /// # Safety
    /// `T` is the column's type, and there are [`CHUNK`] values at most.
    pub unsafe fn write<T>(&mut self, number: u64, values: impl Iterator<Item = T>) {
        // SAFETY: a chunk has room for `CHUNK` values of every column.
        unsafe {
            let vector = (self.calls.data_chunk_get_vector)(self.chunk, number);
            let data: *mut T = (self.calls.vector_get_data)(vector).cast();
            for (place, value) in values.enumerate() {
                data.add(place).write(value);
            }
        }
    }
}
