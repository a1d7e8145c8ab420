//! Room for what the host answers: it asks for some before each answer, and mostly gets the same again.

use std::cell::Cell;

/// Room that the host has, and how much.
#[derive(Clone, Copy, Default)]
struct Lent {
    address: usize,
    capacity: usize,
}

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static LENT: Cell<Lent> = const { Cell::new(Lent { address: 0, capacity: 0 }) };
}

/// More than this is not kept for the next answer.
const MAX_SPARE: usize = 64 * 1024;

/// Lends the host room for an answer of `size` bytes.
pub fn lend(size: usize) -> *mut u8 {
    let mut room = SPARE.take();
    room.clear();
    room.reserve(size.max(1));
    let mut room = std::mem::ManuallyDrop::new(room);
    let data = room.as_mut_ptr();
    LENT.set(Lent { address: data.addr(), capacity: room.capacity() });
    data
}

/// Takes back room that the host has filled.
///
/// # Safety
/// If `data` was lent last, its first `size` bytes are written.
pub unsafe fn take(data: *mut u8, size: usize) -> Vec<u8> {
    let Lent { address, capacity } = LENT.take();
    if address == data.addr() && size <= capacity {
        // SAFETY: a vector of this capacity was taken apart to lend it.
        return unsafe { Vec::from_raw_parts(data, size, capacity) };
    }
    // Lent before something else, which no call of the ABI does: how much it is nobody knows any more.
    Vec::new()
}

/// Keeps the room of an answer that is done with for the next.
pub fn give_back(room: Vec<u8>) {
    if room.capacity() <= MAX_SPARE {
        SPARE.set(room);
    }
}
