//! Commands in the documentation exist, and the first steps of the README work as they stand.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use mytism_testkit::Project;

use crate::trade::repository;

/// How the documentation calls the program.
const PROGRAM: &str = "./mytism";

/// A command line of the documentation.
struct Line {
    /// File and line number.
    place: String,
    text: String,
}

/// The lines behind `$ ` in fenced blocks; a line that ends with `\` goes on in the next one.
fn command_lines(name: &str, document: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut fenced, mut goes_on) = (false, false);
    for (number, line) in (1..).zip(document.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            goes_on = false;
            continue;
        }
        match (line.strip_prefix("$ "), lines.last_mut()) {
            (_, Some(last)) if fenced && goes_on => last.text.push_str(line),
            (Some(text), _) if fenced => lines.push(Line { place: format!("{name}:{number}"), text: text.to_owned() }),
            _ => continue,
        }
        goes_on = line.ends_with('\\');
        if let (true, Some(last)) = (goes_on, lines.last_mut()) {
            last.text.pop();
        }
    }
    lines
}

/// Calls of the program between backquotes in running text, with `mytism` or `./mytism` before them.
fn inline_commands(name: &str, document: &str) -> Vec<Line> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(document.lines()) {
        fenced ^= line.trim_start().starts_with("```");
        for span in line.split('`').skip(1).step_by(2).filter(|_| !fenced) {
            let call = span.strip_prefix("./").unwrap_or(span);
            if call.starts_with("mytism ") {
                lines.push(Line { place: format!("{name}:{number}"), text: format!("./{call}") });
            }
        }
    }
    lines
}

/// The words of each command in a line, as a shell would split them; what a shell does beyond that is left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '|' | ';' | '&' | '<' | '>') => {
                all.last_mut().unwrap().extend(word.take());
                // What a file is redirected to or from is no word of the command, so it begins one that nobody looks at.
                all.push(Vec::new());
            }
            (None, '#') if word.is_none() => break,
            (None, _) if letter.is_whitespace() => all.last_mut().unwrap().extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    all.last_mut().unwrap().extend(word);
    all.retain(|words| !words.is_empty());
    all
}

/// The help of a command, as it is needed to look words up.
struct Help(String);

impl Help {
    /// `None` where there is no such command.
    fn of(path: &[&str]) -> Option<Self> {
        let output = Project::empty("nobody").run(&[path, &["--help"]].concat(), "");
        (output.status == Some(0)).then_some(Self(output.stdout))
    }

    /// The line that explains a flag, without the explanation.
    fn flag(&self, flag: &str) -> Option<&str> {
        let lines = self.0.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let mut lines = lines.map(|line| line.split_once("  ").map_or(line, |(names, _)| names));
        lines.find(|names| names.split([' ', ',']).any(|name| name == flag))
    }

    fn has_command(&self, name: &str) -> bool {
        let commands = self.0.lines().skip_while(|line| *line != "Commands:").skip(1);
        let mut commands = commands.take_while(|line| line.starts_with("  "));
        commands.any(|line| line.split_whitespace().next() == Some(name))
    }
}

/// What is wrong with one call of the program.
fn wrong(words: &[String]) -> Option<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut help = Help::of(&[])?;
    let mut words = words.iter().map(String::as_str).skip(1);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            let (flag, value) = word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
            let Some(explained) = help.flag(flag) else { return Some(format!("`{}` has no {flag}", path.join(" "))) };
            if explained.contains('<') && value.is_none() && words.next().is_none() {
                return Some(format!("{flag} lacks its value"));
            }
        } else if help.has_command(word) {
            path.push(word);
            help = Help::of(&path)?;
        } else if path.is_empty() {
            return Some(format!("there is no command `{word}`"));
        }
    }
    None
}

#[test]
fn commands_in_the_documentation_exist() {
    let docs = fs::read_dir(repository().join("docs")).into_iter().flatten().flatten().map(|entry| entry.path());
    let markdown = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let files: BTreeSet<_> = markdown.chain([repository().join("README.md")]).collect();
    let mut findings = Vec::new();
    let mut checked = 0;
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        for line in command_lines(&name, &text).into_iter().chain(inline_commands(&name, &text)) {
            for words in commands(&line.text).iter().filter(|words| words[0] == PROGRAM) {
                checked += 1;
                findings.extend(wrong(words).map(|finding| format!("{}: {finding}: {}", line.place, line.text)));
            }
        }
    }
    println!("{checked} commands checked");
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn wrong_commands_are_found() {
    let check = |line: &str, expected: Option<&str>| {
        let found = wrong(&commands(line)[0]);
        assert_eq!(found.as_deref(), expected, "{line}");
    };
    check("./mytism --project x start --detach", None);
    check("./mytism nodes add berlin --export f", None);
    check("./mytism query 'from Order o' --limit=3", None);
    check("./mytism strat", Some("there is no command `strat`"));
    check("./mytism start --detached", Some("`start` has no --detached"));
    check("./mytism nodes add berlin --exports f", Some("`nodes add` has no --exports"));
    check("./mytism join --sync-account", Some("--sync-account lacks its value"));
}

#[test]
fn lines_are_split_as_a_shell_does() {
    let check = |line: &str, expected: &[&[&str]]| assert_eq!(commands(line), expected, "{line}");
    check("./mytism query 'from A | b' | head -1 # first", &[&["./mytism", "query", "from A | b"], &["head", "-1"]]);
    check("echo \"it's\" ''", &[&["echo", "it's", ""]]);
    check("a<b && c", &[&["a"], &["b"], &["c"]]);
    let spans = inline_commands("f", "see `mytism stop fast` or `x`,\n```\n`mytism no`\n```\nand `./mytism start`");
    let spans: Vec<_> = spans.into_iter().map(|line| (line.place, line.text)).collect();
    assert_eq!(spans, [("f:1".into(), "./mytism stop fast".to_owned()), ("f:5".into(), "./mytism start".to_owned())]);
    let text = "$ no\n```console\n$ a \\\n  b\nout\n$ c\n```\n$ no\n";
    let lines: Vec<_> = command_lines("f", text).into_iter().map(|line| (line.place, line.text)).collect();
    assert_eq!(lines, [("f:3".into(), "$ a   b"[2..].to_owned()), ("f:6".into(), "c".to_owned())]);
}

/// A directory in which commands of the documentation work as in the repository. Its nodes are stopped at the end.
struct Stage {
    project: Project,
    /// Any free port in the place of the usual one.
    port: String,
}

impl Stage {
    fn new() -> Self {
        let project = Project::empty("nobody");
        symlink(project.binary().path(), project.root().join("mytism")).unwrap();
        symlink(repository().canonicalize().unwrap().join("schema"), project.root().join("schema")).unwrap();
        let free = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.local_addr()).unwrap();
        Self { project, port: free.port().to_string() }
    }

    #[track_caller]
    fn run(&self, line: &str) -> (bool, String) {
        let mut shell = Command::new("sh");
        // The program is called as itself only to take over its cleaned surroundings.
        for (name, value) in self.project.binary().command().get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.env("MYTISM_SOCKETPROTOCOL_TLSPORT", &self.port).current_dir(self.project.root()).args(["-c", line]);
        let output = shell.output().expect("there is a shell");
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.success(), told)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.project.root()).into_iter().flatten().flatten() {
            if entry.path().join("mytism.ini").exists() {
                let _stopped = self.run(&format!("{PROGRAM} --project '{}' stop", entry.path().display()));
            }
        }
    }
}

#[test]
fn the_first_steps_work_as_they_stand() {
    let Ok(readme) = fs::read_to_string(Path::new(&repository()).join("README.md")) else { return };
    let stage = Stage::new();
    for line in command_lines("README.md", &readme) {
        let calls = commands(&line.text);
        // The demonstration is a test of its own and never ends by itself; scripts build and test the project.
        let is_step =
            |words: &Vec<String>| words[0] == PROGRAM && words.iter().all(|word| word != "demo" && word != "bench");
        if !calls.iter().any(is_step) {
            continue;
        }
        let (done, told) = stage.run(&line.text);
        assert!(done, "{}: {}\n{told}", line.place, line.text);
    }
}
