//! See `mytism_hostile::ini::ini`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::ini::ini(data)));
