//! `promote` and `follow`: another node becomes the head office, and the rest of them know.

use std::io::{BufRead, IsTerminal, stdin};
use std::path::Path;

use mytism_core::failure::Failure;
use serde_json::json;

use super::say;
use crate::args;
use crate::node::{self, Followed, Promoted};
use crate::output::{Output, harmless};
use crate::program;
use crate::report::Trouble;
use crate::words::fill;

/// `promote`.
pub(crate) fn promote(directory: &Path, arguments: &args::Promote, output: &mut Output<'_>) -> Result<(), Trouble> {
    if !arguments.yes {
        let question = output.words.confirm_promote;
        confirm(question, "authoritative", stdin().is_terminal(), &mut stdin().lock(), output)?;
    }
    show_promoted(&node::promote(directory)?, output);
    Ok(())
}

fn show_promoted(promoted: &Promoted, output: &mut Output<'_>) {
    let Promoted { node, epoch, position, addresses, key } = promoted;
    if output.json {
        output.document(&json!({
            "node": node,
            "role": "authoritative",
            "epoch": epoch,
            "position": position,
            "addresses": addresses,
            "key": key,
        }));
        return;
    }
    let words = output.words;
    output.line(fill(words.promoted, &[&harmless(node), epoch, &words.count(*position)]));
    output.line(fill(words.others_follow, &[&program(), &addresses.join(","), key]));
}

/// `follow`.
pub(crate) fn follow(directory: &Path, arguments: &args::Follow, output: &mut Output<'_>) -> Result<(), Trouble> {
    if !arguments.yes && node::is_head_office(directory)? {
        let question = output.words.confirm_follow;
        confirm(question, "branch", stdin().is_terminal(), &mut stdin().lock(), output)?;
    }
    let followed = node::follow(directory, &arguments.address, &arguments.key)?;
    show_followed(&followed, output);
    Ok(())
}

fn show_followed(followed: &Followed, output: &mut Output<'_>) {
    let Followed { node, addresses, key } = followed;
    if output.json {
        output.document(&json!({"node": node, "role": "branch", "addresses": addresses, "key": key}));
    } else {
        let text = fill(output.words.follows, &[&harmless(node), &harmless(&addresses.join(", "))]);
        output.line(text);
    }
}

/// Lets a person type the new role; a program says `--yes`.
fn confirm(
    question: &str,
    role: &str,
    is_terminal: bool,
    input: &mut dyn BufRead,
    output: &Output<'_>,
) -> Result<(), Failure> {
    if is_terminal && !output.json {
        say(question);
        let mut typed = String::new();
        let read = input.read_line(&mut typed);
        read.map_err(|error| Failure::failed("input-failed", format!("cannot read standard input: {error}")))?;
        if typed.trim() == role {
            return Ok(());
        }
    }
    let message = format!("that this node becomes {role} was not confirmed; nothing was changed");
    Err(Failure::refused("not-confirmed", message).hint("add --yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_the_role_itself_confirms() {
        let ask = |is_terminal: bool, json: bool, typed: &str| {
            let output = Output::to(std::io::sink(), json);
            confirm("?", "branch", is_terminal, &mut typed.as_bytes(), &output).map_err(|failure| failure.code)
        };
        assert_eq!(ask(true, false, "branch\n"), Ok(()));
        for (is_terminal, json, typed) in [(true, false, "yes\n"), (false, false, "branch\n"), (true, true, "branch\n")]
        {
            assert_eq!(ask(is_terminal, json, typed), Err("not-confirmed".to_owned()), "{typed:?}");
        }
    }

    #[test]
    fn the_command_for_the_others_is_whole() {
        let addresses = vec!["berlin:4243".to_owned(), "127.0.0.1:4243".to_owned()];
        let promoted = Promoted {
            node: "berlin".into(),
            epoch: 2,
            position: 1_204,
            addresses: addresses.clone(),
            key: "ab".into(),
        };
        let text = written(false, |output| show_promoted(&promoted, output));
        assert!(text.starts_with("berlin is the head office from epoch 2 on   position 1,204\n"), "{text}");
        assert!(text.ends_with(" follow berlin:4243,127.0.0.1:4243 ab\n"), "{text}");
        let followed = Followed { node: "bonn".into(), addresses, key: "ab".into() };
        let text = written(false, |output| show_followed(&followed, output));
        assert_eq!(text, "bonn follows berlin:4243, 127.0.0.1:4243 from its next start on\n");
        let text = written(true, |output| show_followed(&followed, output));
        let expected = r#"{"node":"bonn","role":"branch","addresses":["berlin:4243","127.0.0.1:4243"],"key":"ab"}"#;
        assert_eq!(text, expected.to_owned() + "\n");
    }
}
