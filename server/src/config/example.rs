//! The example file and the reference for the documentation, made from the table so that neither can lag behind it.

use std::fmt::Write as _;

use super::cluster::CLUSTER_SETTINGS;
use super::keys::{self, Change, Effect, Key, SECTIONS, Section};

/// Longest line of the example file, in characters.
const WIDTH: usize = 100;

/// The whole of `mytism.ini.example`: every setting commented out, with its meaning, form and default.
#[must_use]
pub fn example() -> String {
    let mut text = paragraph(
        "Every setting that a node knows. What is commented out shows the default; copy the lines that you need into \
         mytism.ini of the project directory. Comments begin with --, ; or # at the start of a line; values are taken \
         word for word. Settings are read when the node starts; a running node takes up those marked `watched` within \
         seconds. The environment variable MYTISM_SECTION_KEY (upper case, _ for other characters) overrides a line. \
         `mytism check-config` tells everything that is wrong at once, `mytism explain-config` what is in force.",
    );
    for section in SECTIONS {
        section_example(&mut text, section);
    }
    text
}

fn section_example(text: &mut String, section: &Section) {
    if !section.read {
        let words = format!("{} The section [{}] is accepted; no key of it is looked at.", section.doc, section.name);
        let _ = write!(text, "\n{}", paragraph(&words));
        return;
    }
    if section.name.ends_with('*') {
        let _ = write!(text, "\n{}", paragraph(section.doc));
        return;
    }
    let _ = writeln!(text, "\n[{}]", section.name);
    text.push_str(&paragraph(section.doc));
    for key in keys::of_section(section).filter(|key| matches!(key.effect, Effect::Used | Effect::NotYet)) {
        key_example(text, key);
    }
    let rest = [
        (Effect::NamesSection, "Names of the sections that configure single parts:"),
        (Effect::ClassName, "Names of classes in files of former versions, accepted without effect:"),
    ];
    for (effect, words) in rest {
        let keys: Vec<_> = keys::of_section(section).filter(|key| key.effect == effect).collect();
        if keys.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{}", paragraph(words));
        for key in keys {
            let _ = writeln!(text, "{}", line(key));
        }
    }
}

fn key_example(text: &mut String, key: &Key) {
    let _ = write!(text, "\n{}", paragraph(&format!("{} {}{}", key.doc, form(key), marks(key))));
    for old in key.old_names {
        text.push_str(&paragraph(&format!("Old spelling: {old}.")));
    }
    let _ = writeln!(text, "{}", line(key));
}

/// The key with its default, commented out.
fn line(key: &Key) -> String {
    format!(";{} = {}", key.name, key.default).trim_end().to_owned()
}

fn marks(key: &Key) -> &'static str {
    match (key.effect, key.change) {
        (Effect::NotYet, _) => " Not in effect yet.",
        (_, Change::Watched) => " Watched.",
        _ => "",
    }
}

fn form(key: &Key) -> String {
    let form = key.kind.expectation();
    let mut letters = form.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
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

/// The reference for the documentation: one Markdown table per section, and one of the settings of the cluster.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| section.read && !section.name.ends_with('*')) {
        let named = if section.named_by.is_empty() {
            String::new()
        } else {
            format!(" `[DBMan] {}` can give the section another name.", section.named_by)
        };
        let _ = writeln!(text, "### [{}]\n\n{}{named}\n", section.name, section.doc);
        let _ = writeln!(
            text,
            "| key | value | default | in effect | meaning | environment variable |\n|---|---|---|---|---|---|"
        );
        for key in keys::of_section(section) {
            let _ = writeln!(text, "{}", row(key));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "### Other sections\n");
    for section in SECTIONS.iter().filter(|section| section.name.ends_with('*')) {
        let _ = writeln!(text, "- `[{}]`: {}", section.name, section.doc);
    }
    for section in SECTIONS.iter().filter(|section| !section.read) {
        let _ = writeln!(text, "- `[{}]`: {} Accepted; no key of it is looked at.", section.name, section.doc);
    }
    text.push_str(&cluster_reference());
    text
}

fn row(key: &Key) -> String {
    let old: Vec<_> = key.old_names.iter().map(|old| format!(" (also `{old}`)")).collect();
    let old_values: Vec<_> = key.old_values.iter().map(|(old, new)| format!("`{old}` for `{new}`")).collect();
    let old_values =
        if old_values.is_empty() { String::new() } else { format!(" Also read: {}.", old_values.join(", ")) };
    let effect = match (key.effect, key.change) {
        (Effect::NotYet, _) => "not yet",
        (Effect::ClassName, _) => "never",
        (_, Change::Watched) => "within seconds",
        _ => "at start",
    };
    let value = key.kind.expectation();
    format!(
        "| `{}`{} | {value} | {} | {effect} | {}{old_values} | `{}` |",
        key.name,
        old.concat(),
        default(key.default),
        key.doc,
        key.variable()
    )
}

fn default(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

fn cluster_reference() -> String {
    let mut text = "\n### Settings of the whole cluster\n\n\
        These are objects of the entity `Setting` (`Name`, `Value`), saved at any node, and replicate to all. \
        This version keeps them and acts on none of them yet.\n\n\
        | name | value | default | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for setting in CLUSTER_SETTINGS {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            setting.name,
            setting.kind.expectation(),
            default(setting.default),
            setting.doc
        );
    }
    text
}
