//! `migrate-store`: the data of a node at rest, from one engine to the other.

use std::path::Path;

use mytism_core::failure::Failure;
use serde_json::json;

use crate::args;
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::fill;

/// `migrate-store`.
pub(crate) fn migrate(
    directory: &Path,
    arguments: &args::MigrateStore,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    match (arguments.to, &arguments.url) {
        (args::Store::Postgres, None) => {
            let failure = Failure::usage("wrong-use", "migrate-store postgres needs the address of a database");
            return Err(failure.hint("give one with --url postgresql://localhost:5432/demo").into());
        }
        (args::Store::Sqlite, Some(_)) => {
            return Err(Failure::usage("wrong-use", "--url has no use with migrate-store sqlite").into());
        }
        _ => {}
    }
    let moved = mytism_server::move_data(directory, arguments.url.as_deref(), &mut |_, _, _| {})?;
    let content = moved.content;
    if output.json {
        output.document(&json!({
            "from": moved.from,
            "to": moved.to,
            "objects": content.objects,
            "entries": content.entries,
            "pending": content.pending,
            "journal": content.journal,
            "digest": content.digest.to_string(),
        }));
        return Ok(());
    }
    let words = output.words;
    let counts = [content.objects, content.entries].map(|count| words.count(count));
    output.line(fill(words.data_moved, &[&harmless(&moved.to), &counts[0], &counts[1]]));
    output.line(fill(words.data_moved_from, &[&harmless(&moved.from)]));
    Ok(())
}
