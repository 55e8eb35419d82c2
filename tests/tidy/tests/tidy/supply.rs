//! What comes from others: licences, crates that must not come in, and places that crates may come from.
//!
//! The lists stand in `deny.toml`, where cargo-deny reads them too; here they are held without a further tool.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{assert_none, metadata, root};

/// The texts in the list `name = [ … ]` of a section of deny.toml.
fn list(text: &str, section: &str, name: &str) -> BTreeSet<String> {
    let start = format!("[{section}]");
    let lines = text.lines().skip_while(|line| *line != start).skip(1).take_while(|line| !line.starts_with('['));
    let begin = format!("{name} = [");
    let entries = lines.skip_while(|line| *line != begin).skip(1).take_while(|line| *line != "]");
    entries.filter_map(|line| line.split('#').next()?.split('"').nth(1)).map(str::to_owned).collect()
}

#[track_caller]
fn deny_list(section: &str, name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    let found = list(&text, section, name);
    assert!(!found.is_empty(), "deny.toml has lost [{section}] {name}");
    found
}

/// Whether the licences of an expression (`A OR B`, `A AND (B OR C)`, `A WITH e`, the older `A/B`) are allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "\u{1}");
    let words: Vec<String> = spaced.split_whitespace().map(|word| word.replace('\u{1}', " WITH ")).collect();
    let mut rest = words.as_slice();
    let result = any(&mut rest, allowed);
    result && rest.is_empty()
}

/// `all OR all …`; every part is read, also when the answer is known.
fn any(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut result = all(rest, allowed);
    while rest.first().is_some_and(|word| word == "OR") {
        *rest = &rest[1..];
        result |= all(rest, allowed);
    }
    result
}

/// `one AND one …`
fn all(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut result = one(rest, allowed);
    while rest.first().is_some_and(|word| word == "AND") {
        *rest = &rest[1..];
        result &= one(rest, allowed);
    }
    result
}

/// A licence, or an expression in parentheses.
fn one(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let Some((word, after)) = rest.split_first() else { return false };
    *rest = after;
    if word != "(" {
        return allowed.contains(word);
    }
    let result = any(rest, allowed);
    match rest.split_first() {
        Some((close, after)) if close == ")" => *rest = after,
        _ => return false,
    }
    result
}

fn refused_licences(metadata: &Value, allowed: &BTreeSet<String>) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let refused =
        packages.iter().filter(|package| !package["license"].as_str().is_some_and(|text| is_allowed(text, allowed)));
    refused
        .map(|package| format!("{} {}: licence {}", package["name"], package["version"], package["license"]))
        .collect()
}

/// The names of all crates in Cargo.lock, those for other machines included, with their sources; ours have none.
fn locked(text: &str) -> Vec<(&str, &str)> {
    text.split("[[package]]")
        .skip(1)
        .filter_map(|block| Some((value(block, "name")?, value(block, "source").unwrap_or_default())))
        .collect()
}

fn value<'a>(block: &'a str, field: &str) -> Option<&'a str> {
    let text = block.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(" = \""))?;
    text.strip_suffix('"')
}

fn unwanted_crates(lock: &str, banned: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, source) in locked(lock) {
        if banned.contains(name) {
            findings.push(format!("Cargo.lock: {name} is banned by deny.toml"));
        }
        if !source.is_empty() && !source.starts_with("registry+") {
            findings.push(format!("Cargo.lock: {name} does not come from a registry of crates"));
        }
    }
    findings
}

/// One crate for times is enough; others may bring theirs along, ours must not ask for one.
const SECOND_TIME_CRATES: &[&str] = &["chrono", "time"];

fn second_time_crates(metadata: &Value) -> Vec<String> {
    let ours = metadata["packages"].as_array().expect("packages").iter().filter(|package| package["source"].is_null());
    let mut findings = Vec::new();
    for package in ours {
        let asked = package["dependencies"].as_array().expect("dependencies").iter().filter_map(|d| d["name"].as_str());
        for name in asked.filter(|name| SECOND_TIME_CRATES.contains(name)) {
            findings.push(format!("{} asks for {name}; times are jiff's", package["name"]));
        }
    }
    findings
}

#[test]
fn all_licences_are_allowed() {
    assert_none(&refused_licences(&metadata(), &deny_list("licenses", "allow")));
}

#[test]
fn there_is_no_second_tls_and_no_second_source() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    assert!(
        locked(&lock).iter().any(|(name, source)| *name == "rustls" && source.starts_with("registry+")),
        "no crate was read"
    );
    assert_none(&unwanted_crates(&lock, &deny_list("bans", "deny")));
}

#[test]
fn there_is_no_second_crate_for_times() {
    assert_none(&second_time_crates(&metadata()));
}

#[test]
fn expressions() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    let check = |text: &str, expected: bool| assert_eq!(is_allowed(text, &allowed), expected, "{text}");
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("GPL-3.0 AND MIT", false);
    check("GPL-3.0 OR MIT AND ISC", true);
    check("(GPL-3.0 OR MIT) AND ISC", true);
    check("(GPL-3.0 AND MIT) OR (ISC AND (BSD OR MIT))", true);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("Apache-2.0", false);
    check("MIT WITH LLVM-exception", false);
    for broken in ["", "(MIT", "MIT)", "MIT ISC", "OR MIT", "MIT AND"] {
        check(broken, false);
    }
}

#[test]
fn refused_licences_are_found() {
    let packages = serde_json::json!({ "packages": [
        { "name": "a", "version": "1", "license": "MIT" },
        { "name": "b", "version": "1", "license": "GPL-3.0" },
        { "name": "c", "version": "1", "license": null },
    ] });
    assert_eq!(refused_licences(&packages, &BTreeSet::from(["MIT".to_owned()])).len(), 2);
}

#[test]
fn unwanted_crates_are_found() {
    let lock = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"1\"\n\n[[package]]\nname = \"openssl-sys\"\nsource = \"registry+x\"\n\n\
                [[package]]\nname = \"far\"\nsource = \"git+x\"\ndependencies = [\n \"a\",\n]\n";
    assert_eq!(locked(lock), [("ours", ""), ("openssl-sys", "registry+x"), ("far", "git+x")]);
    let found = unwanted_crates(lock, &BTreeSet::from(["openssl-sys".to_owned()]));
    assert_eq!(
        found,
        ["Cargo.lock: openssl-sys is banned by deny.toml", "Cargo.lock: far does not come from a registry of crates"]
    );
}

#[test]
fn second_time_crates_are_found() {
    let packages = serde_json::json!({ "packages": [
        { "name": "ours", "source": null, "dependencies": [{ "name": "jiff" }, { "name": "chrono" }] },
        { "name": "theirs", "source": "registry+x", "dependencies": [{ "name": "time" }] },
    ] });
    assert_eq!(second_time_crates(&packages), ["\"ours\" asks for chrono; times are jiff's"]);
}

#[test]
fn lists_are_read() {
    let text = "[a]\nallow = [\n    \"no\",\n]\n[licenses]\n# c\nallow = [\n    \"MIT\", # why\n    # \"x\n    \"ISC\",\n]\nother = [\n    \"y\",\n]\n";
    assert_eq!(list(text, "licenses", "allow"), ["MIT", "ISC"].map(str::to_owned).into());
    assert!(list(text, "bans", "deny").is_empty());
}
