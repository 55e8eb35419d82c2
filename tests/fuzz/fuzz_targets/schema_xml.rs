//! See `mytism_hostile::schema::xml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::schema::xml(data)));
