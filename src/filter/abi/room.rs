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

#[cfg(test)]
mod tests {
    use super::*;

    /// As the host does: asks for room and writes.
    fn answered(answer: &[u8]) -> Vec<u8> {
        let data = lend(answer.len());
        // SAFETY: so much was lent, it is written before it is taken back, and taken back once.
        unsafe {
            data.copy_from_nonoverlapping(answer.as_ptr(), answer.len());
            take(data, answer.len())
        }
    }

    #[test]
    fn the_same_room_is_lent_again() {
        let first = answered(&[7; 100]);
        let place = first.as_ptr().addr();
        give_back(first);
        let second = answered(b"short");
        assert_eq!((second.as_ptr().addr(), second.as_slice()), (place, &b"short"[..]));
        assert_ne!(answered(b"while the second is kept").as_ptr().addr(), place);
    }

    #[test]
    fn room_lent_before_something_else_is_not_taken() {
        let (first, _second) = (lend(3), lend(4));
        // SAFETY: it is not the last that was lent, so that nothing has to be written.
        assert!(unsafe { take(first, 3) }.is_empty());
    }
}
