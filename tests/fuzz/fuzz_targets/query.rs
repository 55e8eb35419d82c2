//! See `mytism_hostile::query::query`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::query::query(data)));
