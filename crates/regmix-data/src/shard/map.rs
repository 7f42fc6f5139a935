//! A file mapped into memory, as bytes.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file, read by the operating system when they are touched.
#[derive(Debug)]
pub(super) struct Map(memmap2::Mmap);

impl Map {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        #[allow(unsafe_code)]
        // SAFETY: the map is only ever read, as plain bytes, of which every
        // value is valid; no reference into it is kept past a read. Shards are
        // written under a temporary name and renamed, never changed or cut in
        // place, so the mapped pages stay as long as the map; a file that
        // someone else cuts short while it is read ends the process with a bus
        // error, as for every memory map.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Self(map))
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
