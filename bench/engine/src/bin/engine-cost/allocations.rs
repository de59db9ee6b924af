//! Counts what the program asks of its allocator: the one that the worker has too.

#![expect(
    unsafe_code,
    reason = "an allocator is unsafe to be; this one only hands on and counts"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting {
    allocations: AtomicU64::new(0),
    held: AtomicU64::new(0),
    held_most: AtomicU64::new(0),
};

#[derive(Debug)]
struct Counting {
    allocations: AtomicU64,
    /// Bytes allocated and not yet freed.
    held: AtomicU64,
    held_most: AtomicU64,
}

impl Counting {
    fn took(&self, bytes: usize) {
        self.allocations.fetch_add(1, Relaxed);
        let held = self.held.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        self.held_most.fetch_max(held, Relaxed);
    }

    fn gave_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes as u64, Relaxed);
    }
}

// SAFETY: every call goes to MiMalloc as it came, and its answer back.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.gave_back(layout.size());
        // SAFETY: the caller's promise, passed on: what `alloc` gave came from MiMalloc.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        self.gave_back(layout.size());
        self.took(bytes);
        // SAFETY: the caller's promise, passed on: what `alloc` gave came from MiMalloc.
        unsafe { MiMalloc.realloc(block, layout, bytes) }
    }
}

/// Allocations so far; a block that grows is another one.
pub(crate) fn made() -> u64 {
    ALLOCATOR.allocations.load(Relaxed)
}

/// Most bytes that were allocated at once so far.
pub(crate) fn held_most() -> u64 {
    ALLOCATOR.held_most.load(Relaxed)
}
