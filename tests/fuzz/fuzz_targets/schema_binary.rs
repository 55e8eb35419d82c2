//! See `mytism_hostile::schema::binary`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(mytism_hostile::schema::binary(data)));
