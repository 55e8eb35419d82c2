//! See `mytism_hostile::log::value`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::log::value(data)));
