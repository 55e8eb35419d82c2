//! The one binary: the node and the command line, by which people and programs work with it.
//!
//! What goes in: [`args`], the words of the command line; documents and rows are read by `mytism_intake`. What comes
//! out: [`json`] for programs, [`people`] and [`table`] for people in the language of [`words`], both through
//! [`output`]; failures through [`report`]. In between: [`command`], which asks a node that [`node`] found. Only [`node`]
//! knows the server and the client library, and only [`bench`], which measures them, how objects are stored.

mod args;
mod bench;
mod command;
mod demo;
mod interrupt;
mod json;
mod lines;
mod node;
mod output;
mod people;
mod report;
mod table;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::args::Reading;
use crate::command::Verdict;
use crate::output::Output;
use crate::report::Trouble;

/// The variable by which the launcher says by which name it was called.
const CALLED_AS: &str = "MYTISM_CALLED_AS";
/// Status of a check that found something.
const FOUND: u8 = 1;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match args::read(&words, &called_as()) {
        Reading::Text(text) => {
            let mut output = Output::standard(false);
            output.text(&text);
            end(output.finish().map_err(Trouble::from).map(|()| Verdict::Done), false)
        }
        Reading::Wrong { failure, json } => end(Err(failure.into()), json),
        Reading::Arguments(arguments) => {
            let mut output = Output::standard(arguments.json);
            let result = command::run(&arguments, &mut output);
            // What was written before a failure is shown before it.
            let finished = output.finish().map_err(Trouble::from);
            end(result.and_then(|verdict| finished.map(|()| verdict)), arguments.json)
        }
    }
}

fn end(result: Result<Verdict, Trouble>, json: bool) -> ExitCode {
    match result {
        Ok(Verdict::Done) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => ExitCode::from(FOUND),
        Err(trouble) => {
            let stderr = io::stderr();
            let colour = stderr.is_terminal() && output::colours_wanted();
            let text = if json {
                format!("{}\n", report::document(&trouble.failure))
            } else {
                report::lines(&trouble, colour)
            };
            // Where nobody reads it, the status still tells.
            let _closed = stderr.lock().write_all(text.as_bytes());
            ExitCode::from(trouble.failure.kind.exit_status())
        }
    }
}

/// The name by which the program was called, without its directory: by the launcher, else by whoever ran it.
fn called_as() -> String {
    let told = std::env::var(CALLED_AS).ok().filter(|name| !name.is_empty());
    let run_as = || Some(Path::new(&std::env::args_os().next()?).file_name()?.to_string_lossy().into_owned());
    told.or_else(run_as).unwrap_or_default()
}

/// How the program is called in hints.
fn program() -> String {
    format!("./{}", args::project_name(&called_as()))
}
