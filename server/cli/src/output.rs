//! Standard output: where it goes, how wide it is, in which form and language. Knows no command.
//!
//! Whoever reads may stop reading at any time (`mytism query … | head`). That is no failure: what is written afterwards
//! is dropped, and [`Output::state`] lets long work end early.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use mytism_core::failure::Failure;
use mytism_core::operation::Closed;
use serde_json::Value as Json;

use crate::words::{self, Words};

/// Where a command writes its results.
pub(crate) struct Output<'w> {
    to: Box<dyn Write + 'w>,
    /// Whether programs read it: one JSON object a line.
    pub(crate) json: bool,
    /// The language of people.
    pub(crate) words: &'static Words,
    /// Columns of the terminal; `None` where it goes to a file or another program.
    pub(crate) width: Option<u16>,
    /// Whether colours may be used.
    pub(crate) colour: bool,
    broken: Option<io::Error>,
}

impl Output<'static> {
    /// The standard output of the process.
    pub(crate) fn standard(json: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = if terminal { comfy_table::Table::new().width() } else { None };
        Self {
            to: Box::new(BufWriter::new(stdout)),
            json,
            words: words::from_environment(),
            width,
            colour: terminal && colours_wanted(),
            broken: None,
        }
    }
}

impl<'w> Output<'w> {
    /// Some other place, in English and without colours.
    #[cfg(test)]
    pub(crate) fn to(to: impl Write + 'w, json: bool) -> Self {
        Self { to: Box::new(to), json, words: &words::ENGLISH, width: None, colour: false, broken: None }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl Display) {
        if self.broken.is_none() {
            self.broken = writeln!(self.to, "{text}").err();
        }
    }

    /// Writes one document, on one line.
    pub(crate) fn document(&mut self, document: &Json) {
        self.line(document);
    }

    /// Writes a text as it stands.
    pub(crate) fn text(&mut self, text: &str) {
        if self.broken.is_none() {
            self.broken = self.to.write_all(text.as_bytes()).err();
        }
    }

    /// Draws on a terminal in the place of what was drawn before, without a flicker and without touching what stands
    /// above in its history.
    pub(crate) fn redraw(&mut self, draw: impl FnOnce(&mut Output<'_>)) {
        let mut bytes = Vec::new();
        {
            let mut inner = Output { to: Box::new(&mut bytes), broken: None, ..*self };
            draw(&mut inner);
            inner.flush();
        }
        let drawn = String::from_utf8_lossy(&bytes).replace('\n', "\u{1b}[K\n");
        self.text(&format!("\u{1b}[H{drawn}\u{1b}[J"));
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.to.flush().err();
        }
    }

    /// Whether anybody still reads.
    pub(crate) fn state(&self) -> Result<(), Closed> {
        if self.broken.is_some() { Err(Closed) } else { Ok(()) }
    }

    /// Hands on the rest, and tells what went wrong on the way.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush();
        match self.broken.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed("output-failed", format!("the output cannot be written: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// The text in bold, where colours may be used.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Whether the user has not asked for plain text.
pub(crate) fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// The text without anything that a terminal obeys: data must not be able to move the cursor or rename the window.
pub(crate) fn harmless(text: &str) -> String {
    let hostile = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let show = |character: char| match character {
        '\n' | '\t' | '\r' => ' ',
        other if hostile(other) => '·',
        other => other,
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks at once, with an error of some kind.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_success_and_a_full_disk_is_not() {
        let check = |kind: io::ErrorKind, code: Option<&str>| {
            let mut output = Output::to(Broken(kind), true);
            assert!(output.state().is_ok());
            output.line("x");
            assert_eq!(output.state(), Err(Closed));
            output.line("y");
            let finished = output.finish().map_err(|failure| failure.code);
            assert_eq!(finished.err().as_deref(), code, "{kind}");
        };
        check(io::ErrorKind::BrokenPipe, None);
        check(io::ErrorKind::StorageFull, Some("output-failed"));
    }

    #[test]
    fn lines_come_out_as_they_go_in() {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, true);
        output.document(&serde_json::json!({"b": 1, "a": "ä\n"}));
        output.text("rest\n");
        output.finish().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "{\"b\":1,\"a\":\"ä\\n\"}\nrest\n");
    }

    #[test]
    fn a_drawing_takes_the_place_of_the_one_before() {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, false);
        output.redraw(|output| {
            output.line("a");
            output.line("ä");
        });
        output.finish().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "\u{1b}[Ha\u{1b}[K\nä\u{1b}[K\n\u{1b}[J");
    }

    #[test]
    fn data_cannot_steer_a_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc\td\u{202e}e\u{9b}f"), "a·[2Jb c d·e·f");
        assert_eq!(harmless("Grüße, 東京"), "Grüße, 東京");
    }
}
