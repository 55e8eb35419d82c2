//! See `mytism_hostile::intake::csv`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::intake::csv(data)));
