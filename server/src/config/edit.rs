//! Writes one setting into the text of a file and leaves every other byte as it was.
//!
//! Knows the form of lines and the old spellings, nothing of what values mean.

use super::keys;
use super::lines::{self, Shape};
use super::values::SectionNames;

/// A value that no line of the file can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// The value would end its line or could not be read back as it is.
    #[error("a value in mytism.ini must be one line without control characters and without white space at its ends")]
    Value,
    /// The section or key could not be read back.
    #[error("names in mytism.ini consist of letters, digits, `.`, `_` and `-`")]
    Name,
}

/// The text with `key` of `section` set to `value`, and otherwise byte for byte as it was.
///
/// A key that is there keeps its place, its spelling (old names count) and the white space around `=`; a new one goes
/// behind the last setting of its section, and a section that is missing goes to the end of the file. Sections that
/// `[DBMan]` gives other names are found by those.
///
/// # Errors
/// When section, key or value cannot stand in a line.
pub fn write_value(text: &str, section: &str, key: &str, value: &str) -> Result<String, WriteError> {
    let line = format!("{key} = {value}");
    match lines::shape(&line) {
        Shape::Setting(name) if name == key && value.trim() == value => {}
        Shape::Setting(name) if name == key => return Err(WriteError::Value),
        _ if lines::shape(&format!("{key} =")) == Shape::Setting(key) => return Err(WriteError::Value),
        _ => return Err(WriteError::Name),
    }
    let names = SectionNames::of(&lines::read(text));
    let section = names.written(section).unwrap_or(section);
    if lines::shape(&format!("[{section}]")) != Shape::Section(section) {
        return Err(WriteError::Name);
    }
    let spot = find(text, section, &spellings(&names, section, key));
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let missing_end = if text.is_empty() || text.ends_with('\n') { "" } else { line_end };
    Ok(match spot {
        Spot::Value { from, to } => splice(text, from, to, value),
        Spot::After { at, spaced: true } => splice(text, at, at, &format!("{line}{line_end}")),
        Spot::After { at, spaced: false } => splice(text, at, at, &format!("{missing_end}{line}{line_end}")),
        Spot::NewSection => {
            let blank = if text.is_empty() { "" } else { line_end };
            format!("{text}{missing_end}{blank}[{section}]{line_end}{line}{line_end}")
        }
    })
}

/// The text without the setting of a key: its line becomes a comment. The same text where there is no such setting.
#[must_use]
pub fn comment_out(text: &str, section: &str, key: &str) -> String {
    let names = SectionNames::of(&lines::read(text));
    let section = names.written(section).unwrap_or(section);
    match find(text, section, &spellings(&names, section, key)) {
        Spot::Value { from, .. } => {
            let before = text.get(..from).unwrap_or(text);
            let start =
                before.rfind('\n').map_or(before.len() - before.trim_start_matches('\u{feff}').len(), |end| end + 1);
            splice(text, start, start, "; ")
        }
        _ => text.to_owned(),
    }
}

/// Parts of the names of keys that hold secrets, in whatever section.
const SECRET_WORDS: [&str; 4] = ["pass", "secret", "pwd", "token"];

/// The text without its secrets: what might hold one, in a comment too, makes way for a comment that says so. Better one
/// setting too few than a password in a copy.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let clean = |raw: &str| {
        let line = raw.trim_end_matches(['\n', '\r']);
        let end = raw.get(line.len()..).unwrap_or_default();
        match secret_in(line) {
            Some(name) => format!("; {name} may be a secret and is left out{end}"),
            None => raw.to_owned(),
        }
    };
    text.split_inclusive('\n').map(clean).collect()
}

/// The name of what might be a secret in a line.
fn secret_in(line: &str) -> Option<&str> {
    let bare = line.trim_start_matches(['\u{feff}', ' ', '\t', ';', '#', '-']);
    let (name, value) = bare.split_once('=').map_or((bare, ""), |(name, value)| (name.trim(), value.trim()));
    let lower = name.to_ascii_lowercase();
    let is_secret = keys::all()
        .any(|key| key.is_secret() && (key.is_called(name) || key.name.to_ascii_lowercase() == lower))
        || SECRET_WORDS.iter().any(|word| lower.contains(word));
    let is_line_of_prose = value.is_empty() && lines::shape(line) == Shape::Silent;
    (is_secret && !lower.ends_with("_file") && !is_line_of_prose).then_some(match value.is_empty() {
        // What has no value may hold it in its name.
        true => "what stands here",
        false => name,
    })
}

/// All spellings of a key, those of the table included.
fn spellings<'a>(names: &SectionNames, section: &str, key: &'a str) -> Vec<&'a str> {
    let own = names.meaning(section).map(|known| known.name);
    let known = keys::all().find(|known| Some(known.section) == own && known.is_called(key));
    let mut all = vec![key];
    if let Some(known) = known {
        all.push(known.name);
        all.extend(known.old_names);
    }
    all
}

/// Where to write, in bytes.
enum Spot {
    /// Over the old value.
    Value { from: usize, to: usize },
    /// A new line behind a line; `spaced` when that line has its end.
    After { at: usize, spaced: bool },
    /// Nowhere yet.
    NewSection,
}

fn find(text: &str, section: &str, spellings: &[&str]) -> Spot {
    let mut spot = Spot::NewSection;
    let mut inside = false;
    let mut offset = 0;
    for raw in text.split_inclusive('\n') {
        let marked = if offset == 0 { raw.strip_prefix('\u{feff}').unwrap_or(raw) } else { raw };
        let start = offset + raw.len() - marked.len();
        offset += raw.len();
        let line = marked.strip_suffix('\n').map_or(marked, |line| line.strip_suffix('\r').unwrap_or(line));
        let behind = Spot::After { at: offset, spaced: raw.ends_with('\n') };
        match lines::shape(line) {
            Shape::Section(name) => {
                inside = name == section;
                if inside {
                    spot = behind;
                }
            }
            Shape::Setting(name) if inside && spellings.contains(&name) => return value_spot(line, start),
            Shape::Setting(_) if inside => spot = behind,
            _ => {}
        }
    }
    spot
}

/// The range of the value of a line that holds a setting.
fn value_spot(line: &str, start: usize) -> Spot {
    let after_sign = line.find('=').map_or(line.len(), |sign| sign + 1);
    let rest = line.get(after_sign..).unwrap_or_default();
    let lead = rest.len() - rest.trim_start().len();
    let from = if rest.trim().is_empty() { after_sign + usize::from(lead > 0) } else { after_sign + lead };
    Spot::Value { from: start + from, to: start + from.max(line.trim_end().len()) }
}

fn splice(text: &str, from: usize, to: usize, new: &str) -> String {
    let (before, after) = (text.get(..from).unwrap_or(text), text.get(to..).unwrap_or_default());
    format!("{before}{new}{after}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let text = "-- mine\r\n[DBMan]\r\nnodeName = bonn\npass = hunter2\n; pass = hunter2\npass_file = /run/pass\n\
            [Mailer.x]\npassword=hunter2\n[Castor]\nmyPWD = hunter2\npassword hunter2\n-- the password is elsewhere\n";
        let expected = "-- mine\r\n[DBMan]\r\nnodeName = bonn\n; pass may be a secret and is left out\n\
            ; pass may be a secret and is left out\npass_file = /run/pass\n[Mailer.x]\n\
            ; password may be a secret and is left out\n[Castor]\n; myPWD may be a secret and is left out\n\
            ; what stands here may be a secret and is left out\n-- the password is elsewhere\n";
        assert_eq!(without_secrets(text), expected);
    }

    #[test]
    fn the_rest_stays() {
        let check = |text: &str, section: &str, key: &str, expected: &str| {
            assert_eq!(write_value(text, section, key, "NEW").as_deref(), Ok(expected), "{text:?}");
        };
        check("", "S", "k", "[S]\nk = NEW\n");
        check("; note", "S", "k", "; note\n\n[S]\nk = NEW\n");
        check("[S]\n  k   =  old  \n\n; end", "S", "k", "[S]\n  k   =  NEW  \n\n; end");
        check("[S]\nk=old", "S", "k", "[S]\nk=NEW");
        check("[S]\nk=\n", "S", "k", "[S]\nk=NEW\n");
        check("[S]\nk = \n", "S", "k", "[S]\nk = NEW\n");
        check("[S]\nk=a=b\\\n", "S", "k", "[S]\nk=NEW\n");
        check("[S]\r\na = 1\r\n\r\n[T]\r\n", "S", "k", "[S]\r\na = 1\r\nk = NEW\r\n\r\n[T]\r\n");
        check("[S]", "S", "k", "[S]\nk = NEW\n");
        check("[T]\nk = 1\n", "S", "k", "[T]\nk = 1\n\n[S]\nk = NEW\n");
        check("[S]\n; k = 1\n", "S", "k", "[S]\nk = NEW\n; k = 1\n");
        check("\u{feff}[S]\nk = 1\n", "S", "k", "\u{feff}[S]\nk = NEW\n");
        check("[DBMan]\nnodeID = 1\n", "DBMan", "nodeNumber", "[DBMan]\nnodeID = NEW\n");
        check(
            "[DBMan]\nprotocolDriverCfg = Wire\n[Wire]\n",
            "SocketProtocol",
            "port",
            "[DBMan]\nprotocolDriverCfg = Wire\n[Wire]\nport = NEW\n",
        );
    }

    #[test]
    fn a_setting_becomes_a_comment() {
        let check = |text: &str, expected: &str| assert_eq!(comment_out(text, "S", "k"), expected, "{text:?}");
        check("", "");
        check("[S]\nj = 1\n[T]\nk = 1\n", "[S]\nj = 1\n[T]\nk = 1\n");
        check("[S]\r\nj = 1\r\n  k = a\r\n", "[S]\r\nj = 1\r\n;   k = a\r\n");
        check("[S]\nk =\n", "[S]\n; k =\n");
        check("[S]\n; k = a\n", "[S]\n; k = a\n");
        let text = comment_out("[DBMan]\nnodeID = 1\n", "DBMan", "nodeNumber");
        assert_eq!(text, "[DBMan]\n; nodeID = 1\n");
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        for value in ["a\nb", "a\r", " a", "a ", "a\0b"] {
            assert_eq!(write_value("", "S", "k", value), Err(WriteError::Value), "{value:?}");
        }
        for (section, key) in [("a b", "k"), ("", "k"), ("S", ""), ("S", "a=b"), ("S", ";k"), ("S", "--k")] {
            assert_eq!(write_value("", section, key, "v"), Err(WriteError::Name), "{section:?} {key:?}");
        }
    }

    /// The parts of two texts that differ.
    fn difference<'t>(before: &'t str, after: &'t str) -> (&'t str, &'t str) {
        let same = |(a, b): &(char, char)| a == b;
        let front: usize = before.chars().zip(after.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
        let (before, after) = (&before[front..], &after[front..]);
        let back =
            before.chars().rev().zip(after.chars().rev()).take_while(same).map(|(a, _)| a.len_utf8()).sum::<usize>();
        (&before[..before.len() - back], &after[..after.len() - back])
    }

    proptest! {
        /// One value gives way to another, or lines are put in; every other byte stays.
        #[test]
        fn every_other_byte_stays(
            pieces in prop::collection::vec("\\[[ST]\\]|[kj] ?= ?[a\\\\;]{0,3}|[;#-]{1,2}k = 1|\\PC{0,3}|[ \\t]{0,2}", 0..14),
            ends in prop::collection::vec("\r?\n", 14),
            start in "\u{feff}?",
            value in "[b-z]{1,8}",
        ) {
            let lines = pieces.iter().zip(&ends).map(|(piece, end)| format!("{piece}{end}")).collect::<String>();
            for text in [format!("{start}{lines}"), format!("{start}{}", lines.trim_end())] {
                let written = write_value(&text, "S", "k", &value).unwrap();
                let (old, new) = difference(&text, &written);
                prop_assert!(!old.contains(['\r', '\n']), "{text:?} -> {written:?}");
                prop_assert!(old.is_empty() || !new.contains('\n'), "{text:?} -> {written:?}");
                let again = write_value(&written, "S", "k", &value).unwrap();
                prop_assert_eq!(again, written, "writing it again changes nothing");
            }
        }

        /// The written value is read back, and nothing else is read differently.
        #[test]
        fn written_is_read(
            pieces in prop::collection::vec("\\[[ST]\\]|[kj] ?= ?[a\\\\;]{0,3}|[ \\t;#=x\\[\\]]{0,4}|\\PC{0,3}", 0..14),
            line_end in "\r?\n",
            value in "[a-z;#=\\\\\"']{0,8}",
        ) {
            let text = pieces.join(&line_end);
            let written = write_value(&text, "S", "k", &value).unwrap();
            let pairs = |text: &str| {
                let entries = lines::read(text).entries;
                entries.into_iter().map(|e| (e.section, e.key, e.value)).collect::<Vec<_>>()
            };
            let is_it = |(section, key, _): &(String, String, String)| section == "S" && key == "k";
            let first = pairs(&written).into_iter().find(is_it);
            prop_assert_eq!(first.map(|found| found.2), Some(value));
            let others = |text: &str| {
                let mut seen = false;
                pairs(text).into_iter().filter(|pair| !is_it(pair) || std::mem::replace(&mut seen, true)).collect::<Vec<_>>()
            };
            prop_assert_eq!(others(&text), others(&written));
            let comments = |text: &str| text.lines().filter(|line| lines::shape(line) == Shape::Silent).count();
            prop_assert!(comments(&written) >= comments(&text));
        }
    }
}
