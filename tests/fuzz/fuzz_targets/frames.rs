//! See `mytism_hostile::wire::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::wire::frames(data)));
