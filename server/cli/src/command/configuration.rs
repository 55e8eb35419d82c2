//! The configuration of a project: what is wrong with it, and what is in force.

use std::path::Path;

use mytism_core::failure::{Failure, nearest};
use mytism_server::config::{ConfigProblem, Explained, Severity};
use serde_json::{Value as Json, json};

use super::Verdict;
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::fill;
use crate::{args, node};

/// `check-config`: findings one a line.
pub(crate) fn check(directory: &Path, output: &mut Output<'_>) -> Verdict {
    let (file, problems) = node::check_config(directory);
    for problem in &problems {
        if output.json {
            output.document(&finding(problem));
        } else {
            let words = output.words;
            let label = if problem.is_error() { words.error } else { words.warning };
            output.line(format!("{label}[{}]: {}", problem.code, harmless(&problem.to_string())));
        }
    }
    if !problems.is_empty() {
        return Verdict::Found;
    }
    if !output.json {
        output.line(fill(output.words.configuration_good, &[&file.display()]));
    }
    Verdict::Done
}

fn finding(problem: &ConfigProblem) -> Json {
    let optional = |text: &str| if text.is_empty() { Json::Null } else { Json::from(text) };
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "severity": severity,
        "code": problem.code,
        "origin": problem.origin.to_string(),
        "line": problem.line(),
        "section": optional(&problem.section),
        "key": optional(&problem.key),
        "value": problem.value,
        "message": problem.message,
        "hint": optional(&problem.hint),
    })
}

/// `explain-config`: settings one a line. What is wrong with the file is told by `check-config`.
pub(crate) fn explain(
    directory: &Path,
    arguments: &args::ExplainConfig,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    let settings = node::explain_config(directory)?;
    let wanted = match &arguments.name {
        Some(name) => chosen(&settings, name)?,
        None => settings.iter().collect(),
    };
    let mut section = "";
    for setting in wanted {
        if output.json {
            output.document(&setting_document(setting));
            continue;
        }
        if setting.section != section {
            section = &setting.section;
            output.line(output.bold(&format!("[{}]", harmless(section))));
        }
        output.line(setting_line(setting, output));
    }
    Ok(())
}

/// The settings of a key or section, by its name in the file or in the table.
fn chosen<'s>(settings: &'s [Explained], name: &str) -> Result<Vec<&'s Explained>, Failure> {
    let is_it =
        |setting: &&Explained| setting.key.is_called(name) || setting.section == name || setting.key.section == name;
    let found: Vec<_> = settings.iter().filter(is_it).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names = settings.iter().flat_map(|setting| [setting.key.name, setting.section.as_str()]);
    let hint = nearest(name, names).map_or_else(String::new, |near| format!("did you mean {near}?"));
    Err(Failure::usage("config-unknown-key", format!("there is no key and no section {name}")).hint(hint))
}

fn setting_line(setting: &Explained, output: &Output<'_>) -> String {
    let words = output.words;
    let value = if setting.value.is_empty() { "–".to_owned() } else { harmless(&setting.value) };
    let origin =
        setting.origin.as_ref().map_or_else(|| words.is_default.to_owned(), |origin| harmless(&origin.to_string()));
    let effect = match (setting.in_effect(), setting.is_watched()) {
        (false, _) => words.not_in_effect,
        (_, true) => words.in_effect_at_once,
        (_, false) => words.in_effect_at_start,
    };
    format!("  {:<26} {value:<22} {origin}; {effect}", setting.key.name)
}

fn setting_document(setting: &Explained) -> Json {
    let value = if setting.value.is_empty() { Json::Null } else { Json::from(setting.value.as_str()) };
    let origin = setting.origin.as_ref().map_or_else(|| Json::from("default"), |origin| Json::from(origin.to_string()));
    json!({
        "section": setting.section,
        "key": setting.key.name,
        "value": value,
        "origin": origin,
        "secret": setting.key.is_secret(),
        "in_effect": setting.in_effect(),
        "watched": setting.is_watched(),
        "variable": setting.variable,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use super::*;

    fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn settings_are_told_with_their_origin() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mytism.ini");
        fs::write(&file, "[SocketProtocol]\ntlsPort = 5000\n[DBMan]\npass = hunter2\n").unwrap();
        let told = |json: bool, name: &str| {
            let wanted = args::ExplainConfig { name: Some(name.to_owned()) };
            written(json, |output| explain(directory.path(), &wanted, output).unwrap())
        };
        let expected = format!(
            "[SocketProtocol]\n  tlsPort                    5000                   {} line 2; at start\n",
            file.display()
        );
        assert!(told(false, "tlsPort").starts_with(&expected), "{}", told(false, "tlsPort"));
        let pass: Json = serde_json::from_str(&told(true, "pass")).unwrap();
        assert_eq!((pass["value"].as_str(), pass["secret"].as_bool()), (Some("***"), Some(true)));
        let level: Json = serde_json::from_str(&told(true, "level")).unwrap();
        assert_eq!((level["origin"].as_str(), level["watched"].as_bool()), (Some("default"), Some(true)));
        assert!(told(true, "HikariPool").lines().count() == 5);
        let unknown = args::ExplainConfig { name: Some("tlsProt".to_owned()) };
        let failure = explain(directory.path(), &unknown, &mut Output::to(io::sink(), true)).unwrap_err().failure;
        assert_eq!((failure.code.as_str(), failure.hint.as_str()), ("config-unknown-key", "did you mean tlsPort?"));
        let all = args::ExplainConfig { name: None };
        let told = written(true, |output| explain(directory.path(), &all, output).unwrap());
        assert!(told.lines().count() > 100 && !told.contains("hunter2"));
    }

    #[test]
    fn findings_are_one_a_line_and_change_the_status() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mytism.ini");
        fs::write(&file, "[SocketProtocol]\ntlsPort = x\n[Nonsense]\na = b\n").unwrap();
        let mut verdict = Verdict::Done;
        let told = written(true, |output| verdict = check(directory.path(), output));
        assert_eq!(verdict, Verdict::Found);
        let first: Json = serde_json::from_str(told.lines().next().unwrap()).unwrap();
        assert_eq!((first["line"].as_u64(), first["key"].as_str()), (Some(2), Some("tlsPort")), "{told}");
        fs::write(&file, "").unwrap();
        let told = written(false, |output| verdict = check(directory.path(), output));
        assert_eq!(verdict, Verdict::Done, "{told}");
        assert!(told.ends_with("nothing is wrong\n"), "{told}");
        fs::remove_file(&file).unwrap();
        assert_eq!(check(directory.path(), &mut Output::to(io::sink(), true)), Verdict::Found);
    }
}
