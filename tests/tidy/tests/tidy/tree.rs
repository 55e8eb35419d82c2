//! The files of the repository, as git sees them, and what may stand at its top.

use std::collections::BTreeSet;

use super::{assert_none, output_of, root};

/// One text file.
pub(crate) struct Source {
    /// From the repository's top, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// For planted violations.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it only serves tests or benches.
    pub(crate) fn is_test(&self) -> bool {
        let inside =
            |folder: &str| self.path.starts_with(&format!("{folder}/")) || self.path.contains(&format!("/{folder}/"));
        inside("tests") || inside("benches") || self.path.ends_with("/tests.rs")
    }

    /// The lines with their numbers from 1, but for modules of unit tests.
    pub(crate) fn production_lines(&self) -> Vec<(usize, &str)> {
        let lines: Vec<_> = self.text.lines().collect();
        let mut kept = Vec::new();
        let mut in_tests = false;
        for (index, line) in lines.iter().enumerate() {
            let module_follows =
                lines.get(index + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            in_tests |= *line == "#[cfg(test)]" && module_follows;
            if !in_tests {
                kept.push((index + 1, *line));
            }
            in_tests &= *line != "}";
        }
        kept
    }
}

/// The paths of all files that are in the repository or about to be.
pub(crate) fn paths() -> Vec<String> {
    let listed = output_of("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths: Vec<_> = listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    assert!(paths.iter().any(|path| path == "Cargo.toml"), "git lists no Cargo.toml: is this a clone?");
    paths.into_iter().filter(|path| root().join(path).exists()).collect()
}

/// All text files; what is not UTF-8 is left out.
pub(crate) fn sources() -> Vec<Source> {
    let read = |path: String| {
        let text = std::fs::read(root().join(&path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        Some(Source { path, text })
    };
    let sources: Vec<_> = paths().into_iter().filter_map(read).collect();
    assert!(sources.iter().any(|source| source.path == "core/src/lib.rs"), "no source was read");
    sources
}

/// A newcomer understands the project from this list, so a new name here is a decision.
const TOP: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "FORMATS.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "TESTING.md",
    "THIRD-PARTY.md",
    "client-gui",
    "clippy.toml",
    "core",
    "deny.toml",
    "docs",
    "mytism",
    "mytism.ini.example",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "schema",
    "scripts",
    "server",
    "sync",
    "tests",
];

fn strangers(paths: &[String]) -> Vec<String> {
    let tops: BTreeSet<_> = paths.iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let unknown = tops.into_iter().filter(|top| !TOP.contains(top));
    unknown
        .map(|top| format!("{top}: not a name for the top level; put it into a folder or into TOP of tests/tidy"))
        .collect()
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    assert_none(&strangers(&paths()));
}

#[test]
fn strangers_are_found() {
    assert_eq!(strangers(&["core/a.rs".into(), "notes.txt".into(), "misc/a/b".into()]).len(), 2);
}

#[test]
fn test_modules_are_left_out() {
    let source =
        Source::new("core/src/a.rs", "one\n#[cfg(test)]\nmod tests {\n    two\n}\nthree\n#[cfg(test)]\nmod tests;\n");
    let numbers: Vec<_> = source.production_lines().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 6, 7, 8]);
}

#[test]
fn test_files_are_told_apart() {
    for (path, expected) in [
        ("core/src/tests.rs", true),
        ("core/tests/laws.rs", true),
        ("core/benches/x.rs", true),
        ("tests/e2e/src/lib.rs", true),
        ("core/src/contests.rs", false),
    ] {
        assert_eq!(Source::new(path, "").is_test(), expected, "{path}");
    }
}
