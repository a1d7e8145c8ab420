//! Envoy's response flags as short strings.

use std::fmt::Write;

/// Short strings by bit (Envoy documentation, access log `%RESPONSE_FLAGS%`; order of `stream_info.h`).
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// Flags of a request that Envoy writes before all others, see [`of_request`]: `DI` and `URX`.
const FIRST: [u64; 2] = [1 << 9, 1 << 15];

/// Writes the flags of a request, joined by `,`; `-` for none. Bits of newer Envoys are written together as one number.
///
/// Envoy's access log and stats loggers write flags in the order in which they were set, of which the mask tells nothing.
/// Of a request a delay is injected first, the retry policy gives up before the last attempt leaves its own flag, and
/// nothing else comes in two: `DI`, then `URX`, then the order of the bits.
pub fn of_request(flags: u64, out: &mut String) {
    write(&FIRST, flags, out);
}

/// Writes the flags of a connection: as [`of_request`] does, but all in the order of their bits, as the TCP proxy sets them.
pub fn of_connection(flags: u64, out: &mut String) {
    write(&[], flags, out);
}

fn write(first: &[u64], flags: u64, out: &mut String) {
    if flags == 0 {
        out.push('-');
        return;
    }
    let start = out.len();
    let mut rest = flags;
    let others = (0..NAMES.len()).map(|bit| 1 << bit);
    for mask in first.iter().copied().chain(others) {
        if let Some(name) = NAMES.get(usize::try_from(mask.trailing_zeros()).unwrap_or_default())
            && rest & mask != 0
        {
            rest &= !mask;
            separate(start, out);
            out.push_str(name);
        }
    }
    if rest != 0 {
        separate(start, out);
        // Writing to a String cannot fail.
        let _ = write!(out, "{rest}");
    }
}

fn separate(start: usize, out: &mut String) {
    if out.len() > start {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UT: u64 = 1 << 2;
    const UF: u64 = 1 << 5;
    const DI: u64 = 1 << 9;
    const DC: u64 = 1 << 14;
    const URX: u64 = 1 << 15;

    fn short(write: fn(u64, &mut String), flags: u64) -> String {
        let mut out = String::new();
        write(flags, &mut out);
        out
    }

    /// As access logs of Envoy 1.40 have them.
    #[test]
    fn flags_of_a_request_are_in_the_order_in_which_envoy_sets_them() {
        for (flags, text) in [
            (0, "-"),
            (UF | URX, "URX,UF"),
            (UT | URX, "URX,UT"),
            (DI | UF, "DI,UF"),
            (DI | UT, "DI,UT"),
            (DI | UF | URX, "DI,URX,UF"),
            (UF | DC, "UF,DC"),
            (1 << 29, "UDO"),
        ] {
            assert_eq!(short(of_request, flags), text);
        }
    }

    #[test]
    fn flags_of_a_connection_are_in_the_order_of_their_bits() {
        assert_eq!(short(of_connection, 0), "-");
        assert_eq!(short(of_connection, UF | URX), "UF,URX");
        assert_eq!(short(of_connection, UF | DI | URX), "UF,DI,URX");
    }

    #[test]
    fn bits_without_a_name_are_kept_as_a_number() {
        for write in [of_request, of_connection] {
            assert_eq!(short(write, DC | 1 << 40), "DC,1099511627776");
            assert_eq!(short(write, 1 << 63), "9223372036854775808");
        }
    }
}
