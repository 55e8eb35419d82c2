//! `FORMATS.md` shows the bytes that this program makes, all of them, and states the numbers that it knows.

use std::collections::BTreeMap;

use mytism_core::id::{BlockId, Hash};
use mytism_core::schema::SchemaDef;
use mytism_format::hash::{self, Tree};
use mytism_format::map::MapWriter;
use mytism_format::object::{self, write_meta};
use mytism_format::value::value_bytes;
use mytism_format::{FormatError, entry, envelope, kind, map, schema, transaction};

use crate::examples;

const DOCUMENT: &str = include_str!("../../../../FORMATS.md");

/// The fenced blocks that begin with a word and a name: `hex envelope`.
fn blocks(word: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut found = BTreeMap::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix("```").filter(|head| !head.is_empty()) else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let Some((_, name)) = head.split_once(' ').filter(|(first, _)| *first == word) else { continue };
        assert!(found.insert(name, block).is_none(), "the document shows {name} twice");
    }
    found
}

/// The digits of some lines, without what stands behind number signs.
fn digits(lines: &[&str]) -> String {
    let shown = lines.iter().map(|line| line.split('#').next().unwrap_or_default());
    shown.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each with its length before it, as values stand in slots and parts in lists.
fn listed(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    parts.flat_map(|part| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], &part].concat()).collect()
}

fn root_of_three() -> Hash {
    let mut tree = Tree::default();
    [1, 2, 3].into_iter().for_each(|byte| tree.push(Hash([byte; 32])));
    tree.root()
}

/// Two members of the one entity that has everything, so that the document stays short.
fn short_schema() -> SchemaDef {
    let mut schema = examples::schema();
    schema.entities.truncate(1);
    schema.entities[0].members.retain(|member| ["Code", "State"].contains(&member.name.as_str()));
    schema
}

/// Everything that the document must show.
fn expected() -> Vec<(&'static str, Vec<u8>)> {
    let mut record = Vec::new();
    let body = MapWriter::new(1).text("d", "Köln").finish();
    envelope::write(&mut record, kind::LEAF_DESCRIPTION, 1, 0, &body).unwrap();
    let mut object = Vec::new();
    object::write(&mut object, &examples::object_state()).unwrap();
    let stored = examples::stored_transaction();
    let [plain, merged, refused] = examples::stored_entries();
    let entry_hashes = [plain.hash, merged.hash, refused.hash].map(|hash| hash.0).concat();
    let offered = [stored.hash, examples::stored_schema_transaction().hash];
    vec![
        ("envelope", record.clone()),
        ("values", listed(examples::values().iter().chain(&examples::added_values()).map(value_bytes))),
        ("salts", [0, 1].map(|number| examples::SECRET.salt(number)).concat()),
        ("leaf hash", hash::leaf(&examples::SECRET.salt(0), &record).0.to_vec()),
        ("root", root_of_three().0.to_vec()),
        ("transaction", stored.bytes),
        ("transaction hash", stored.hash.0.to_vec()),
        ("entry plain", plain.bytes),
        ("entry conflict", merged.bytes),
        ("entry refused", refused.bytes),
        ("entry hashes", entry_hashes),
        ("offer", hash::offer(offered).0.to_vec()),
        ("schema", schema::write(&short_schema()).unwrap()),
        ("object", object),
        ("bookkeeping", write_meta(&examples::object_state().meta)),
    ]
}

#[test]
fn the_bytes_of_the_document_are_the_real_ones() {
    let mut shown = blocks("hex");
    for (name, bytes) in expected() {
        let Some(lines) = shown.remove(name) else { panic!("the document lacks {name}: {}", hex(&bytes)) };
        assert_eq!(digits(&lines), hex(&bytes), "{name}");
    }
    assert_eq!(shown.into_keys().collect::<Vec<_>>(), [""; 0], "the document shows what nothing makes");
}

#[test]
fn blocks_of_ids_are_those_of_the_document() {
    let lines = &blocks("text")["blocks"];
    let (head, rows) = lines.split_first().unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["reign", "running", "block", "first", "last"]);
    assert!(rows.len() > 3);
    for row in rows {
        let numbers: Vec<i64> = row.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [reign, running, block, first, last] = numbers[..] else { panic!("{row}") };
        let found = BlockId::new(u32::try_from(reign).unwrap(), u32::try_from(running).unwrap()).unwrap();
        assert_eq!((found.get(), found.range()), (block, (first, last + 1)), "{row}");
    }
}

#[test]
fn the_document_lists_the_kinds_of_records() {
    let known = [
        (kind::TRANSACTION_HEADER, "`n` `i` `c` `be` `bn` `k` `r`"),
        (kind::SECRET, "`s`"),
        (kind::LEAF_AUTHOR, "`u`"),
        (kind::LEAF_TIME, "`t` `o`?"),
        (kind::LEAF_DESCRIPTION, "`d`"),
        (kind::LEAF_RUN, "`n` `i` `c`"),
        (kind::LEAF_CHANGE, "`o` `e` `a` `m`? `x`? `v`?"),
        (kind::LEAF_SCHEMA, "`n` `v` `e` `ge`? `gm`?"),
        (kind::LEAF_SCHEMA_CHANGE, "`n` `v` `e` `ge`? `gm`?"),
        (kind::ENTRY_HEADER, "`e` `n` `p` `hn` `tn` `ti` `tc` `th` `at` `k` `r`"),
        (kind::LEAF_OVERRIDE, "`l` `x` `v`? `d`?"),
        (kind::LEAF_REFUSED, "`c` `w`"),
        (kind::OBJECT, "`ct` `cu` `cn` `ht` `hu` `hn` `v` `l` `o` `e` `s`"),
        (kind::SNAPSHOT_MANIFEST, "`f` `c` `e` `n` `h` `o` `s`"),
        (kind::SNAPSHOT_PART, "`h` `k` `n` `b` `r`"),
    ];
    let shown: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| 0x01")).collect();
    let mut sorted = known;
    sorted.sort_unstable();
    assert_eq!(shown.len(), sorted.len());
    for (line, (number, keys)) in shown.iter().zip(sorted) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!((cells[1], cells[3]), (format!("{number:#06x}").as_str(), keys), "{line}");
    }
}

#[test]
fn the_document_states_the_limits() {
    let mebi = |bytes: usize| format!("{} MiB", bytes >> 20);
    let rows = [
        format!("| bytes of a transaction | {} |", mebi(transaction::BYTES_MAX)),
        format!("| changes in a transaction | {} million |", transaction::CHANGES_MAX / 1_000_000),
        format!("| bytes of an entry | {} |", mebi(entry::BYTES_MAX)),
        format!("| bytes of a schema | {} |", mebi(schema::BYTES_MAX)),
        format!("| bytes of a value | {} |", mebi(mytism_core::value::TEXT_BYTES_MAX)),
        format!("| fields in a body | {} |", map::FIELDS_MAX),
    ];
    for row in rows {
        assert!(DOCUMENT.lines().any(|line| line.starts_with(&row)), "the document lacks: {row}");
    }
}

#[test]
fn an_offer_is_bound_to_its_order() {
    let hashes = [Hash([1; 32]), Hash([2; 32])];
    assert_ne!(hash::offer(hashes), hash::offer([hashes[1], hashes[0]]));
    assert_ne!(hash::offer(hashes), hash::offer([hashes[0]]));
}

#[test]
fn a_record_of_a_newer_program_says_so() {
    let mut bytes = Vec::new();
    envelope::write(&mut bytes, 0x01ff, 1, 0, &[0x80]).unwrap();
    assert_eq!(transaction::read(bytes), Err(FormatError::Unexpected { what: "a transaction", kind: 0x01ff }));
}
