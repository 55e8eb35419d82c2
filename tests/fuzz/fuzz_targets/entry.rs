//! See `mytism_hostile::log::entry`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::log::entry(data)));
