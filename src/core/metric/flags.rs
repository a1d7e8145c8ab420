//! Envoy's response flags as short strings.

use std::fmt::Write;

/// Short strings by bit (Envoy documentation, access log `%RESPONSE_FLAGS%`; order of `stream_info.h`).
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// Writes the flags joined by `,`; `-` for none. Bits of newer Envoys are written together as one number.
pub fn write(flags: u64, out: &mut String) {
    if flags == 0 {
        out.push('-');
        return;
    }
    let start = out.len();
    let mut rest = flags;
    for (bit, name) in NAMES.iter().enumerate() {
        let mask = 1u64 << bit;
        if rest & mask != 0 {
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

    fn short(flags: u64) -> String {
        let mut out = String::new();
        write(flags, &mut out);
        out
    }

    #[test]
    fn several_flags_are_joined_in_bit_order() {
        assert_eq!(short(0), "-");
        assert_eq!(short(1 << 5 | 1 << 15), "UF,URX");
        assert_eq!(short(1 << 29), "UDO");
    }

    #[test]
    fn bits_without_a_name_are_kept_as_a_number() {
        assert_eq!(short(1 << 14 | 1 << 40), "DC,1099511627776");
        assert_eq!(short(1 << 63), "9223372036854775808");
    }
}
