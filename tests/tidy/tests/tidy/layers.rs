//! The table of layers, `layers.txt`, against the dependencies that are there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{assert_none, cargo};

const TABLE: &str = include_str!("../../layers.txt");
const NAME: &str = "tests/tidy/layers.txt";

/// One line of the table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rule {
    line: usize,
    may_use: BTreeSet<String>,
    never: BTreeSet<String>,
}

/// The table: rules by crate, groups by name.
#[derive(Debug, Default)]
struct Table {
    rules: BTreeMap<String, Rule>,
    groups: BTreeMap<String, BTreeSet<String>>,
}

fn names(list: &str) -> BTreeSet<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "nothing").map(str::to_owned).collect()
}

/// Reads the table; the findings are lines that say nothing.
fn parse(text: &str) -> (Table, Vec<String>) {
    let mut table = Table::default();
    let mut findings = Vec::new();
    for (line, words) in (1..).zip(text.lines()).filter(|(_, words)| !words.is_empty() && !words.starts_with('#')) {
        let understood = words.split_once(':').and_then(|(head, rest)| {
            let (kind, name) = head.split_once(' ')?;
            match kind {
                "group" => table.groups.insert(name.to_owned(), names(rest)).is_none().then_some(()),
                "crate" => {
                    let (may_use, never) = rest.split_once(';').unwrap_or((rest, "never"));
                    let may_use = names(may_use.trim().strip_prefix("may use ")?);
                    let never = names(never.trim().strip_prefix("never")?);
                    table.rules.insert(name.to_owned(), Rule { line, may_use, never }).is_none().then_some(())
                }
                _ => None,
            }
        });
        if understood.is_none() {
            findings.push(format!("{NAME}:{line}: not understood, or said twice: {words}"));
        }
    }
    for (name, rule) in &table.rules {
        for group in rule.never.iter().filter(|group| !table.groups.contains_key(*group)) {
            findings.push(format!("{NAME}:{}: {name}: there is no group {group}", rule.line));
        }
    }
    (table, findings)
}

/// Normal dependencies by crate name. Versions of one crate are one node: a rule holds for all of them.
#[derive(Default)]
struct Graph {
    ours: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads what `cargo tree --prefix depth` prints. (`cargo metadata` also names dependencies whose feature is off.)
    fn read(tree: &str) -> Option<Self> {
        let mut graph = Self::default();
        let mut above: Vec<String> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let digits = line.find(|c: char| !c.is_ascii_digit())?;
            let depth: usize = line[..digits].parse().ok()?;
            let mut words = line[digits..].split(' ');
            let name = words.next()?.to_owned();
            // Ours are those with a path in place of a registry.
            if words.any(|word| word.starts_with("(/")) {
                graph.ours.insert(name.clone());
            }
            above.truncate(depth);
            if let Some(user) = above.last() {
                graph.edges.entry(user.clone()).or_default().insert(name.clone());
            }
            graph.edges.entry(name.clone()).or_default();
            above.push(name);
        }
        Some(graph)
    }

    /// The shortest path from a crate to one of the wanted, as `a → b → c`.
    fn path(&self, from: &str, wanted: &BTreeSet<String>) -> Option<String> {
        let mut queue = VecDeque::from([vec![from]]);
        let mut seen = BTreeSet::from([from]);
        while let Some(path) = queue.pop_front() {
            let last = path.last()?;
            if wanted.contains(*last) {
                return Some(path.join(" → "));
            }
            for next in self.edges.get(*last).into_iter().flatten() {
                if seen.insert(next) {
                    queue.push_back(path.iter().copied().chain([next.as_str()]).collect());
                }
            }
        }
        None
    }
}

fn violations(table: &Table, graph: &Graph) -> Vec<String> {
    let mut findings = Vec::new();
    for name in graph.ours.iter().filter(|name| !table.rules.contains_key(*name)) {
        findings.push(format!("{NAME}: {name} has no line"));
    }
    for (name, rule) in &table.rules {
        let at = format!("{NAME}:{}: {name}", rule.line);
        if !graph.ours.contains(name) {
            findings.push(format!("{at} is no crate of the workspace"));
            continue;
        }
        let used: BTreeSet<_> = graph.edges[name].intersection(&graph.ours).cloned().collect();
        findings.extend(used.difference(&rule.may_use).map(|other| format!("{at} must not use {other}")));
        findings.extend(
            rule.may_use.difference(&used).map(|other| format!("{at} does not use {other}; take it out of the line")),
        );
        for group in &rule.never {
            let members = table.groups.get(group).cloned().unwrap_or_default();
            findings.extend(graph.path(name, &members).map(|path| format!("{at} must never see {group}: {path}")));
        }
    }
    findings
}

#[test]
fn the_layers_hold() {
    let (table, mut findings) = parse(TABLE);
    let tree = cargo(&["tree", "--locked", "--workspace", "-e", "normal", "--prefix", "depth", "-f", "{p}"]);
    let graph = Graph::read(&tree).expect("cargo tree has the known form");
    assert!(graph.ours.contains("mytism-core") && graph.edges.len() > 50, "the graph was not read");
    findings.extend(violations(&table, &graph));
    assert_none(&findings);
}

/// `a b` in a line stands for an edge from a to b; crates that begin with `m` are ours.
fn graph(edges: &[&str]) -> Graph {
    let mut graph = Graph::default();
    for edge in edges {
        let mut ends = edge.split(' ').map(str::to_owned);
        let from = ends.next().unwrap_or_default();
        for name in edge.split(' ') {
            graph.edges.entry(name.to_owned()).or_default();
            if name.starts_with('m') {
                graph.ours.insert(name.to_owned());
            }
        }
        graph.edges.entry(from).or_default().extend(ends);
    }
    graph
}

#[track_caller]
fn check(table: &str, edges: &[&str], expected: &[&str]) {
    let (table, mut findings) = parse(table);
    findings.extend(violations(&table, &graph(edges)));
    assert_eq!(findings, expected);
}

const SMALL: &str = "group sql: sqlite, pg\n\ncrate m1: may use nothing; never sql\ncrate m2: may use m1\n";

#[test]
fn violations_are_found() {
    check(SMALL, &["m2 m1", "m1 serde"], &[]);
    check(SMALL, &["m2 m1", "m1 m2"], &["tests/tidy/layers.txt:3: m1 must not use m2"]);
    check(SMALL, &["m1", "m2"], &["tests/tidy/layers.txt:4: m2 does not use m1; take it out of the line"]);
    check(SMALL, &["m2 m1", "m3"], &["tests/tidy/layers.txt: m3 has no line"]);
    check(SMALL, &["m1"], &["tests/tidy/layers.txt:4: m2 is no crate of the workspace"]);
    check(
        SMALL,
        &["m2 m1", "m1 pool", "pool driver", "driver pg", "pool pool"],
        &["tests/tidy/layers.txt:3: m1 must never see sql: m1 → pool → driver → pg"],
    );
    // Ours on the way do not hide it.
    let chain = "group sql: pg\ncrate m1: may use m2; never sql\ncrate m2: may use nothing; never\n";
    check(chain, &["m1 m2", "m2 pg"], &["tests/tidy/layers.txt:2: m1 must never see sql: m1 → m2 → pg"]);
}

#[test]
fn the_table_itself_is_checked() {
    check("crate m1: may use nothing; never sky\n", &["m1"], &["tests/tidy/layers.txt:1: m1: there is no group sky"]);
    let twice = "crate m1: may use nothing; never\ncrate m1: may use nothing; never\n";
    check(
        twice,
        &["m1"],
        &["tests/tidy/layers.txt:2: not understood, or said twice: crate m1: may use nothing; never"],
    );
    check("crate m1 may use x\n", &[], &["tests/tidy/layers.txt:1: not understood, or said twice: crate m1 may use x"]);
}

#[test]
fn trees_are_read() {
    let tree = "0m1 v1.0.0 (/a/m1)\n1a v1.0.0\n2b v2.0.0 (proc-macro)\n1m2 v1.0.0 (/a/m2)\n2a v1.0.0 (*)\n\n0m2 v1.0.0 (/a/m2) (*)\n";
    let found = Graph::read(tree).expect("the form is right");
    assert_eq!(found.ours, names("m1, m2"));
    let expected = [("a", "b"), ("b", ""), ("m1", "a, m2"), ("m2", "a")];
    assert_eq!(found.edges, expected.map(|(user, used)| (user.to_owned(), names(used))).into());
    assert!(Graph::read("m1 v1.0.0").is_none());
}
