//! See `mytism_hostile::log::object`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::log::object(data)));
