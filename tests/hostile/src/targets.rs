//! The table of targets.

use crate::{Told, ini, intake, log, query, schema, wire};

/// A reader with its laws.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, on command lines and of its corpus.
    pub name: &'static str,
    /// Gives some bytes to the reader; panics where a law is broken.
    pub run: fn(&[u8]) -> Told,
    /// Sound inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of its language; none where it reads bytes.
    pub words: &'static [&'static str],
}

macro_rules! targets {
    ($($name:literal $run:path, $seeds:path, $words:expr;)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target { name: $name, run: $run, seeds: $seeds, words: $words }),*];
    };
}

targets! {
    "transaction" log::transaction, log::transactions, &[];
    "entry" log::entry, log::entries, &[];
    "object" log::object, log::objects, &[];
    "value" log::value, log::values, &[];
    "schema_binary" schema::binary, schema::binaries, &[];
    "schema_xml" schema::xml, schema::files, schema::WORDS;
    "query" query::query, query::queries, query::WORDS;
    "ini" ini::ini, ini::files, ini::WORDS;
    "message" wire::message, wire::messages, &[];
    "frames" wire::frames, wire::streams, &[];
    "document" intake::document, intake::documents, intake::WORDS;
    "csv" intake::csv, intake::csv_files, intake::WORDS;
    "json_lines" intake::json_lines, intake::json_line_files, intake::WORDS;
    "cell" intake::cell, intake::cells, intake::WORDS;
}

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
