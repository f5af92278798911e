//! How much memory this thread holds: the allocator of the standard library, with a counter. Policy scripts are bounded by
//! it, because the script engine's own limits on sizes have gaps (an assignment to a map's key is not checked).
#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without it; it hands everything on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread allocated, less those that it freed. What crosses threads makes it wrong, never unsafe.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator with the caller's own arguments; only a counter is added, which
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: `pointer` came from the system's allocator, by the methods above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: `pointer` came from the system's allocator, by the methods above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How much more than is needed the heap grows at a time, in bytes. Untouched memory costs nothing; each growth asks the kernel.
const STEP: libc::c_int = 1024 * 1024;

/// Lets the heap grow in large steps, and not shrink in between.
pub fn grow_in_steps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes two integers, and is made before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, STEP)
    };
}

/// A thread that ends has no counter any more, and needs none.
fn count(more: usize, less: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(more).wrapping_sub(less)));
}

/// Bytes that this thread holds now. Only differences mean something.
#[must_use]
pub fn held() -> usize {
    HELD.try_with(Cell::get).unwrap_or_default()
}

/// How much more this thread holds than when it held `start`.
#[must_use]
pub fn grown_since(start: usize) -> usize {
    let grown = held().wrapping_sub(start);
    // Below the start the difference wraps around: less is held than then.
    if grown > usize::MAX / 2 { 0 } else { grown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted_until_it_is_freed() {
        let start = held();
        let mut bytes = vec![0_u8; 1_000_000];
        assert_eq!(grown_since(start), 1_000_000);
        bytes.reserve_exact(1_000_000);
        assert_eq!(grown_since(start), 2_000_000);
        drop(bytes);
        assert_eq!(grown_since(start), 0);
    }
}
