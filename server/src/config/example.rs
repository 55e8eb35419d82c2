//! The example file and the reference for the documentation, made from the table so that neither can lag behind it.

use std::fmt::Write as _;

use super::keys::{self, Effect, Key, SECTIONS, Section};

/// Longest line of the example file, in characters.
const WIDTH: usize = 100;

/// The whole of `mytism.ini.example`: every setting commented out, with its meaning, form and default.
#[must_use]
pub fn example() -> String {
    let mut text = paragraph(
        "Every setting that a node knows. What is commented out shows the default; copy the lines that you need into \
         mytism.ini of the project directory. Comments begin with --, ; or # at the start of a line; values are taken \
         word for word. All settings are read when the node starts. The environment variable MYTISM_SECTION_KEY (upper \
         case) overrides a line. `mytism check-config` tells everything that is wrong at once.",
    );
    for section in SECTIONS.iter().filter(|section| section.read) {
        section_example(&mut text, section);
    }
    let unread: Vec<_> =
        SECTIONS.iter().filter(|section| !section.read).map(|section| format!("[{}]", section.name)).collect();
    let words =
        format!("These sections are accepted, and this version does not look into them: {}.", unread.join(", "));
    text.push('\n');
    text.push_str(&paragraph(&words));
    text
}

fn section_example(text: &mut String, section: &Section) {
    let _ = writeln!(text, "\n[{}]", section.name);
    text.push_str(&paragraph(section.doc));
    for key in keys::USED.iter().filter(|key| key.section == section.name) {
        let _ = write!(text, "\n{}", paragraph(&format!("{} {}", key.doc, form(key))));
        for old in key.old_names {
            text.push_str(&paragraph(&format!("Old spelling: {old}.")));
        }
        let _ = writeln!(text, "{}", format!(";{} = {}", key.name, key.default).trim_end());
    }
    let rest = [
        (Effect::NamesSection, "Names of the sections that configure single parts"),
        (Effect::Accepted, "Accepted, without effect in this version"),
        (Effect::ClassName, "Names of classes, accepted without effect"),
    ];
    for (effect, words) in rest {
        let keys: Vec<_> =
            keys::ACCEPTED.iter().filter(|key| key.section == section.name && key.effect == effect).collect();
        if keys.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{}", paragraph(&format!("{words}:")));
        for key in keys {
            text.push_str(&paragraph(&format!("  {}{} ({})", key.name, or_default(key), key.kind.expectation())));
        }
    }
}

fn form(key: &Key) -> String {
    let form = key.kind.expectation();
    let mut letters = form.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn or_default(key: &Key) -> String {
    if key.default.is_empty() { String::new() } else { format!(" = {}", key.default) }
}

/// Words as comment lines of at most [`WIDTH`] characters; leading spaces stay.
fn paragraph(words: &str) -> String {
    let indent = words.chars().take_while(|c| *c == ' ').count();
    let start = format!("--{}", " ".repeat(indent));
    let mut text = String::new();
    let mut line = start.clone();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.clone_from(&start);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
    text
}

/// The reference for the documentation: one Markdown table per section, and the lists of what has no effect.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| section.read) {
        let named = if section.named_by.is_empty() {
            String::new()
        } else {
            format!(" `[DBMan] {}` can give the section another name.", section.named_by)
        };
        let _ = writeln!(text, "### [{}]\n\n{}{named}\n", section.name, section.doc);
        let _ = writeln!(text, "| key | value | default | meaning | environment variable |\n|---|---|---|---|---|");
        for key in keys::all().filter(|key| key.section == section.name) {
            let _ = writeln!(text, "{}", row(key));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "### Sections that this version accepts without looking into them\n");
    for section in SECTIONS.iter().filter(|section| !section.read) {
        let _ = writeln!(text, "- `[{}]`: {}", section.name, section.doc);
    }
    text
}

fn row(key: &Key) -> String {
    let old: Vec<_> = key.old_names.iter().map(|old| format!(" (also `{old}`)")).collect();
    let meaning = match key.effect {
        Effect::Used => key.doc,
        Effect::NamesSection => "Names the section that configures this part.",
        Effect::ClassName => "A class name; accepted, without effect.",
        Effect::Accepted => "Accepted; without effect in this version.",
    };
    let default = if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
    let variable = if key.effect == Effect::Used { format!("`{}`", key.variable()) } else { "–".to_owned() };
    let value = key.kind.expectation();
    format!("| `{}`{} | {value} | {default} | {meaning} | {variable} |", key.name, old.concat())
}
