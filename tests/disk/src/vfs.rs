//! The file system of the engine that stands in front of its usual one: C functions that pass everything on, and tell
//! the watcher of a directory what changes in it.
//!
//! A watched file is a block of memory of the engine's: our part first, that of the usual file system behind it. The
//! watcher's lock is held while something changes, so that the recording has the order in which it happened.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::ffi;

use crate::recording::{Change, FileId, Trouble, Watched, watcher};

/// The usual file system.
struct Usual(*mut ffi::sqlite3_vfs);

// SAFETY: the engine's own table, which it made before we asked and never changes or frees.
unsafe impl Send for Usual {}
// SAFETY: as above; the functions in it are made to be called from any thread.
unsafe impl Sync for Usual {}

static USUAL: OnceLock<Usual> = OnceLock::new();

/// Our part of a watched file.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    about: *mut About,
}

/// What is to know of a watched file.
struct About {
    watched: Arc<Watched>,
    file: FileId,
    /// The next sync of this file syncs the directory too.
    syncs_directory: bool,
}

/// Where the part of the usual file system begins.
const BEHIND: usize = size_of::<File>().next_multiple_of(16);

/// Makes the watching file system the default of this process, once.
pub(crate) fn install() {
    USUAL.get_or_init(|| {
        // SAFETY: asks for the default by giving no name; the table that comes back lives as long as the process.
        let usual = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!usual.is_null(), "the engine has no file system");
        // SAFETY: not null, and valid as said above.
        let mut ours = unsafe { *usual };
        ours.zName = c"mytism-disk-under-test".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.szOsFile += c_int::try_from(BEHIND).expect("some bytes");
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // The other functions of the usual one do not look at the table that they stand in.
        // SAFETY: the table is never freed, so the engine may keep it.
        let result = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(result, ffi::SQLITE_OK, "the engine refuses the file system");
        Usual(usual)
    });
}

fn usual() -> *mut ffi::sqlite3_vfs {
    USUAL.get().expect("installed before the engine can know of it").0
}

/// The watcher of a file and the file's name there.
///
/// # Safety
/// The name must be null or end with a zero byte.
unsafe fn watcher_of(name: *const c_char) -> Option<(Arc<Watched>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let name = unsafe { CStr::from_ptr(name) };
    watcher(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: the engine gives names as the function below wants them.
    let found = unsafe { watcher_of(name) };
    // SAFETY: the table of the usual file system is valid for ever.
    let really = unsafe { (*usual()).xOpen }.expect("every file system opens");
    let Some((watched, known_as)) = found else {
        // SAFETY: passed on as it came; the memory is larger than the usual file system needs.
        return unsafe { really(usual(), name, file, flags, flags_out) };
    };
    // SAFETY: the engine gives memory of the size that the table asks for, so ours fits; no methods means not open.
    unsafe { (*file).pMethods = std::ptr::null() };
    let mut state = watched.state();
    let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
    // SAFETY: the name was read above.
    let is_there = unsafe { Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())).exists() };
    if creates && !is_there && state.refuses(Change::Grow).is_some() {
        return ffi::SQLITE_CANTOPEN;
    }
    let writes = flags & ffi::SQLITE_OPEN_READWRITE != 0;
    let flags = match writes.then(|| state.refuses(Change::Open)).flatten() {
        Some(_) => flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE) | ffi::SQLITE_OPEN_READONLY,
        None => flags,
    };
    // SAFETY: within the memory that the engine gave, behind our part.
    let behind = unsafe { file.byte_add(BEHIND) };
    // SAFETY: passed on as it came.
    let result = unsafe { really(usual(), name, behind, flags, flags_out) };
    if result != ffi::SQLITE_OK {
        // SAFETY: the usual file system fills in its part or leaves it without methods.
        unsafe { close_behind(behind) };
        return result;
    }
    let number = state.file(&known_as);
    let kind = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
    let syncs_directory = creates && flags & kind != 0;
    drop(state);
    let about = Box::into_raw(Box::new(About { watched, file: number, syncs_directory }));
    // SAFETY: the memory is ours up to `BEHIND`, and nobody else looks at it until this returns.
    unsafe { file.cast::<File>().write(File { base: ffi::sqlite3_file { pMethods: &raw const METHODS }, about }) };
    result
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    // SAFETY: the engine gives names as the function below wants them.
    let found = unsafe { watcher_of(name) };
    // SAFETY: the table of the usual file system is valid for ever.
    let really = unsafe { (*usual()).xDelete }.expect("every file system deletes");
    let Some((watched, known_as)) = found else {
        // SAFETY: passed on as it came.
        return unsafe { really(usual(), name, sync_directory) };
    };
    let mut state = watched.state();
    if state.refuses(Change::Within).is_some() {
        return ffi::SQLITE_IOERR_DELETE;
    }
    // SAFETY: passed on, but that the real directory need not be synced.
    let result = unsafe { really(usual(), name, 0) };
    if result == ffi::SQLITE_OK {
        state.delete(&known_as, sync_directory & 1 != 0);
    }
    result
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // The second version has shared memory; the third would map the file itself and write past us.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The part of the usual file system, with its functions.
///
/// # Safety
/// The file must be one that `open` opened as a watched one and that is not closed.
unsafe fn behind(file: *mut ffi::sqlite3_file) -> (*mut ffi::sqlite3_file, &'static ffi::sqlite3_io_methods) {
    // SAFETY: such a file has an open file of the usual file system there, whose functions are in a static table.
    unsafe {
        let behind = file.byte_add(BEHIND);
        (behind, &*(*behind).pMethods)
    }
}

/// What is to know of a file.
///
/// # Safety
/// As for [`behind`]; the engine uses a file from one thread at a time, so there is no second reference.
unsafe fn about<'f>(file: *mut ffi::sqlite3_file) -> &'f mut About {
    // SAFETY: `open` put it there, and `close` alone takes it away.
    unsafe { &mut *(*file.cast::<File>()).about }
}

/// # Safety
/// The part of the usual file system must be filled in, or have no methods.
unsafe fn close_behind(behind: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: promised by the caller; a file with methods is one that can be closed.
    unsafe {
        let methods = (*behind).pMethods;
        if methods.is_null() {
            return ffi::SQLITE_OK;
        }
        (*methods).xClose.map_or(ffi::SQLITE_OK, |really| really(behind))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: an open watched file, which the engine does not use again.
    unsafe {
        let result = close_behind(behind(file).0);
        drop(Box::from_raw((*file.cast::<File>()).about));
        result
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: an open watched file.
    let (about, (behind, methods)) = unsafe { (about(file), behind(file)) };
    let really = methods.xWrite.expect("every file can be written");
    let (Ok(length), Ok(place)) = (usize::try_from(length), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: the engine gives so many bytes, and they stay until this returns.
    let given = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    let mut state = about.watched.state();
    let change = state.grows(about.file, place + length);
    let trouble = state.refuses(change);
    // A disk that is full, or that fails, may have taken a part.
    let taken = if trouble.is_some() { &given[..length / 2] } else { given };
    let amount = c_int::try_from(taken.len()).unwrap_or(c_int::MAX);
    // SAFETY: passed on as it came, or the first part of it.
    let result = unsafe { really(behind, bytes, amount, offset) };
    if result == ffi::SQLITE_OK {
        state.write(about.file, place, taken);
    }
    match trouble {
        Some(Trouble::Full) => ffi::SQLITE_FULL,
        Some(_) => ffi::SQLITE_IOERR_WRITE,
        None => result,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: an open watched file.
    let (about, (behind, methods)) = unsafe { (about(file), behind(file)) };
    let mut state = about.watched.state();
    if state.refuses(Change::Within).is_some() {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    // SAFETY: passed on as it came.
    let result = unsafe { methods.xTruncate.expect("every file can be cut")(behind, length) };
    if result == ffi::SQLITE_OK {
        state.truncate(about.file, usize::try_from(length).unwrap_or(0));
    }
    result
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open watched file.
    let about = unsafe { about(file) };
    let mut state = about.watched.state();
    if state.refuses(Change::Sync).is_some() {
        state.sync_failed(about.file);
        return ffi::SQLITE_IOERR_FSYNC;
    }
    state.sync(about.file);
    if std::mem::take(&mut about.syncs_directory) {
        state.sync_directory();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open watched file.
    let (about, (behind, methods)) = unsafe { (about(file), behind(file)) };
    if extend != 0 && about.watched.state().refuses(Change::Grow).is_some() {
        return ffi::SQLITE_IOERR_SHMSIZE;
    }
    // SAFETY: passed on as it came.
    unsafe { methods.xShmMap.expect("the usual files share memory")(behind, page, size, extend, address) }
}

/// A function that passes everything on.
macro_rules! pass_on {
    ($name:ident, $method:ident, ($($argument:ident: $kind:ty),*) -> $result:ty) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $kind),*) -> $result {
            // SAFETY: an open watched file.
            let (behind, methods) = unsafe { behind(file) };
            // SAFETY: passed on as it came, to the file that it is meant for.
            unsafe { methods.$method.expect("the usual files can do it")(behind, $($argument),*) }
        }
    };
}

pass_on!(read, xRead, (into: *mut c_void, length: c_int, offset: i64) -> c_int);
pass_on!(file_size, xFileSize, (size: *mut i64) -> c_int);
pass_on!(lock, xLock, (level: c_int) -> c_int);
pass_on!(unlock, xUnlock, (level: c_int) -> c_int);
pass_on!(check_reserved_lock, xCheckReservedLock, (result: *mut c_int) -> c_int);
pass_on!(file_control, xFileControl, (operation: c_int, argument: *mut c_void) -> c_int);
pass_on!(sector_size, xSectorSize, () -> c_int);
pass_on!(device_characteristics, xDeviceCharacteristics, () -> c_int);
pass_on!(shm_lock, xShmLock, (offset: c_int, count: c_int, flags: c_int) -> c_int);
pass_on!(shm_barrier, xShmBarrier, () -> ());
pass_on!(shm_unmap, xShmUnmap, (delete: c_int) -> c_int);
