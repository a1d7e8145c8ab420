//! Lines in the proxy's log.

use crate::abi;
use std::fmt::Arguments;

/// Levels, as the ABI numbers them.
const WARN: u32 = 3;
const ERROR: u32 = 4;

/// Something that works, otherwise than it looks.
pub fn warn(line: Arguments<'_>) {
    write(WARN, line);
}

/// Something that does not work.
pub fn error(line: Arguments<'_>) {
    write(ERROR, line);
}

/// Lines below the proxy's level would be formatted and handed over only to be dropped there.
fn write(level: u32, line: Arguments<'_>) {
    if level >= abi::log_level().unwrap_or(WARN) {
        // Where the log takes nothing there is nobody to tell.
        let _ = abi::log(level, &line.to_string());
    }
}
