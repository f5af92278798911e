//! Lists of the kernel's, which it writes while they are read: nobody can tell their length before.

use std::io;

use rustix::fs::{Mode, OFlags, open};

/// Room for the next part of it, in bytes: more than the kernel gives at a time.
const ROOM: usize = 16 * 1024;

/// All of such a list, in as few reads as it takes: each stops it in the middle of its work.
///
/// # Errors
/// The kernel's answer.
pub fn list(path: &str) -> io::Result<Vec<u8>> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut list = Vec::new();
    loop {
        list.reserve(ROOM);
        if rustix::io::read(&file, rustix::buffer::spare_capacity(&mut list))? == 0 {
            return Ok(list);
        }
    }
}
