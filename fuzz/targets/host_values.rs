#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| opmeter_fuzz_checks::host_values(data));
