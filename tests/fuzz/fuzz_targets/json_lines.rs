//! See `mytism_hostile::intake::json_lines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::intake::json_lines(data)));
