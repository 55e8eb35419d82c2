//! See `mytism_hostile::wire::message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::wire::message(data)));
