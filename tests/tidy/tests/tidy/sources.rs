//! Size and form of Rust files, and what single crates must not contain.

use super::assert_none;
use super::tree::{Source, sources};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

fn long_files(sources: &[Source]) -> Vec<String> {
    let count = |source: &Source| source.text.lines().count();
    let long = sources.iter().filter(|source| source.is_rust() && count(source) > FILE_LINES_MAX);
    long.map(|source| format!("{}:{}: more than {FILE_LINES_MAX} lines", source.path, count(source))).collect()
}

/// The name in a line that begins a function.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(public) = rest.strip_prefix("pub") {
        rest = match public.strip_prefix('(') {
            Some(inner) => inner.split_once(')')?.1,
            None => public,
        }
        .trim_start();
    }
    while let Some(shorter) =
        ["async ", "const ", "unsafe ", "extern \"C\" "].iter().find_map(|word| rest.strip_prefix(word))
    {
        rest = shorter;
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The lines of a function with a body of its own lines: from its first to the closing brace, by rustfmt's indentation.
fn function_length(lines: &[(usize, &str)]) -> Option<usize> {
    let (_, first) = lines.first()?;
    let end = |line: &str| line.trim_end().ends_with(['{', ';', '}']);
    let opening = lines.iter().find(|(_, line)| end(line))?;
    if !opening.1.trim_end().ends_with('{') {
        return None;
    }
    let indent: String = first.chars().take_while(|c| c.is_whitespace()).collect();
    let closing =
        lines.iter().position(|(_, line)| line.strip_prefix(&indent).is_some_and(|rest| rest.starts_with('}')))?;
    Some(closing + 1)
}

/// Whether the comments and attributes above say why it may be long.
fn is_excused(above: &[(usize, &str)]) -> bool {
    let belongs = |line: &str| line.trim_start().starts_with("//") || line.trim_start().starts_with("#[");
    let reason = |line: &str| line.split_once("long:").is_some_and(|(_, reason)| reason.trim().len() > 3);
    above.iter().rev().take_while(|(_, line)| belongs(line)).any(|(_, line)| reason(line))
}

fn long_functions(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && !source.is_test()) {
        let lines = source.production_lines();
        for (index, (number, line)) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let length = function_length(&lines[index..]).unwrap_or(0);
            if length > FUNCTION_LINES_MAX && !is_excused(&lines[..index]) {
                findings.push(format!(
                    "{}:{number}: {name} has {length} lines, more than {FUNCTION_LINES_MAX}; split it, or say why it must be \
                     long in a comment above it (`// long: …`)",
                    source.path
                ));
            }
        }
    }
    findings
}

fn without_opening_words(sources: &[Source]) -> Vec<String> {
    let silent = |source: &&Source| source.is_rust() && !source.is_test() && !source.text.starts_with("//!");
    let finding = |source: &Source| format!("{}:1: does not open with //! and why the module exists", source.path);
    sources.iter().filter(silent).map(finding).collect()
}

/// Where the words must not stand, which words, and why.
struct Ban {
    applies: fn(&str) -> bool,
    words: &'static [&'static str],
    reason: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        applies: |path| !path.starts_with("core/store/"),
        words: &["\"SELECT ", "INSERT INTO", "CREATE TABLE", "DELETE FROM"],
        reason: "only core/store contains SQL",
    },
    Ban {
        applies: |path| path.starts_with("core/src/"),
        words: &["std::fs", "std::net", "std::thread", "std::env", "::now()"],
        reason: "core knows no file, socket, thread or clock",
    },
    Ban {
        applies: |path| ["sync/src/", "sync/proto/src/"].iter().any(|folder| path.starts_with(folder)),
        words: &["std::fs", "std::net", "std::thread", "std::env", "::now()"],
        reason: "the replica is given its sockets, files and clock",
    },
    Ban {
        applies: |path| ["core/format/src/", "schema/src/"].iter().any(|folder| path.starts_with(folder)),
        words: &["std::net", "std::thread", "::now()"],
        reason: "forms and schemas know no socket, thread or clock",
    },
];

fn banned_words(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && !source.is_test()) {
        for ban in BANS.iter().filter(|ban| (ban.applies)(&source.path)) {
            for (number, line) in source.production_lines() {
                for word in ban.words.iter().filter(|word| line.contains(**word)) {
                    findings.push(format!("{}:{number}: {word}: {}", source.path, ban.reason));
                }
            }
        }
    }
    findings
}

#[test]
fn files_are_short() {
    assert_none(&long_files(&sources()));
}

#[test]
fn functions_fit_a_screen() {
    assert_none(&long_functions(&sources()));
}

#[test]
fn modules_say_why_they_exist() {
    assert_none(&without_opening_words(&sources()));
}

#[test]
fn crates_do_not_contain_what_they_must_not_know() {
    assert_none(&banned_words(&sources()));
}

#[test]
fn long_files_are_found() {
    let of = |lines: usize| long_files(&[Source::new("core/src/a.rs", &"//!\n".repeat(lines))]).len();
    assert_eq!((of(FILE_LINES_MAX), of(FILE_LINES_MAX + 1)), (0, 1));
}

#[test]
fn long_functions_are_found() {
    let of = |above: &str, head: &str, lines: usize| {
        let body = "        x();\n".repeat(lines - 2);
        let text =
            format!("//! a\nimpl A {{\n{above}    {head} {{\n{body}    }}\n}}\n#[cfg(test)]\nmod tests {{\n}}\n");
        long_functions(&[Source::new("core/src/a.rs", &text)])
    };
    assert_eq!(of("", "fn run(&self)", FUNCTION_LINES_MAX), Vec::<String>::new());
    let found = of("", "pub(crate) async fn run(&self)", FUNCTION_LINES_MAX + 1);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("core/src/a.rs:3: run has 71 lines"), "{found:?}");
    let above = "    /// Does it.\n    // long: one table\n    #[must_use]\n";
    assert_eq!(of(above, "fn run(&self)", 200), Vec::<String>::new());
    assert_eq!(of("    // long:\n", "fn run(&self)", 200).len(), 1);
    assert_eq!(of("    // long: of another\n    fn a();\n", "fn run(&self)", 200).len(), 1);
    let declared = "//! a\ntrait A {\n    fn a(\n        b: u8,\n    );\n    fn b() {}\n}\n";
    assert_eq!(long_functions(&[Source::new("core/src/a.rs", declared)]), Vec::<String>::new());
    let in_tests =
        format!("//! a\n#[cfg(test)]\nmod tests {{\n    fn a() {{\n{}    }}\n}}\n", "        x();\n".repeat(100));
    assert_eq!(long_functions(&[Source::new("core/src/a.rs", &in_tests)]), Vec::<String>::new());
}

#[test]
fn function_names() {
    let check = |line: &str, expected: Option<&str>| assert_eq!(function_name(line), expected, "{line}");
    check("fn a() {", Some("a"));
    check("    pub(in crate::x) const unsafe extern \"C\" fn b_1<T>(", Some("b_1"));
    check("    pub async fn c() -> u8 {", Some("c"));
    check("    let f = fn_a();", None);
    check("    // fn a()", None);
    check("    x: fn(u8) -> u8,", None);
}

#[test]
fn silent_modules_are_found() {
    let of = |path: &str, text: &str| without_opening_words(&[Source::new(path, text)]).len();
    assert_eq!(of("core/src/a.rs", "//! Why.\n"), 0);
    assert_eq!(of("core/src/a.rs", "use a;\n//! Why.\n"), 1);
    assert_eq!(of("core/tests/a.rs", "use a;\n"), 0);
    assert_eq!(of("core/a.txt", ""), 0);
}

#[test]
fn banned_words_are_found() {
    let of = |path: &str, text: &str| banned_words(&[Source::new(path, text)]).len();
    assert_eq!(of("server/src/a.rs", "//! a\nlet q = \"SELECT 1\";\n"), 1);
    assert_eq!(of("core/store/src/a.rs", "//! a\nlet q = \"SELECT 1\";\n"), 0);
    assert_eq!(of("server/src/a.rs", "//! a\n#[cfg(test)]\nmod tests {\n    \"CREATE TABLE a\"\n}\n"), 0);
    assert_eq!(of("core/src/a.rs", "//! a\nlet t = Instant::now();\n"), 1);
    assert_eq!(of("server/src/a.rs", "//! a\nlet t = Instant::now();\n"), 0);
    assert_eq!(of("sync/src/a.rs", "//! a\nuse std::net::IpAddr;\n"), 1);
}
