//! See `mytism_hostile::intake::cell`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::intake::cell(data)));
