//! The document lists every message with its number, its limit and its fields, and nothing else.

use mytism_core::failure::{Failure, Place};
use mytism_core::id::{Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish};
use mytism_core::operation::*;

use crate::kind::{self, Kind, SMALL};
use crate::peer::{CheckDivision, CheckObject, CheckPart, CheckRange, EntryFrame, Part, Rung};
use crate::shape::{DEPTH_MAX, ITEMS_MAX};
use crate::wire::{Field, Listed, peer, reply, request};

pub(super) const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

/// A type as the document writes it.
fn type_name(kind: &str) -> String {
    let names = [
        ("Vec<u8>", "bytes"),
        ("[u8; 32]", "32 bytes"),
        ("Vec<", "["),
        ("Option<String>", "text?"),
        (">", "]"),
        ("String", "text"),
        ("(text, ", "(name, "),
    ];
    names.iter().fold(kind.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn fields_cell(fields: &[Field]) -> String {
    let cell = |field: &Field| {
        let mark = if field.optional { "?" } else { "" };
        format!("`{}`{mark} {}: {}", field.key, field.name, type_name(field.kind))
    };
    fields.iter().map(cell).collect::<Vec<_>>().join(", ")
}

fn message_line(kind: &Kind, fields: &[Field]) -> String {
    let limit = if kind.limit == SMALL { "64 KiB" } else { "64 MiB" };
    format!("| {:#06x} | {} | {limit} | {} |", kind.number, kind.name, fields_cell(fields))
}

/// The lines of the tables of messages.
fn message_lines() -> Vec<String> {
    let mut listed = [peer::listed(), request::listed(), reply::listed()].concat();
    listed.push((kind::END.name, &[]));
    listed.push((kind::FAILURE.name, Failure::FIELDS));
    let line = |kind: &Kind| {
        let (_, fields) = listed.iter().find(|(name, _)| *name == kind.name).unwrap();
        message_line(kind, fields)
    };
    kind::ALL.iter().map(line).collect()
}

/// The lines of the table of structures within messages.
fn structure_lines() -> Vec<String> {
    let structures: &[(&str, &[Field])] = &[
        ("Position", Position::FIELDS),
        ("TransactionId", TransactionId::FIELDS),
        ("StampView", StampView::FIELDS),
        ("Rung", Rung::FIELDS),
        ("EntryFrame", EntryFrame::FIELDS),
        ("CheckRange", CheckRange::FIELDS),
        ("CheckDivision", CheckDivision::FIELDS),
        ("CheckPart", CheckPart::FIELDS),
        ("CheckObject", CheckObject::FIELDS),
        ("Part", Part::FIELDS),
        ("LeaseWish", LeaseWish::FIELDS),
        ("Lease", Lease::FIELDS),
        ("ChangeRequest", ChangeRequest::FIELDS),
        ("OpenReference", OpenReference::FIELDS),
        ("Notation", Notation::FIELDS),
        ("PreviewRow", PreviewRow::FIELDS),
        ("PeerStatus", PeerStatus::FIELDS),
        ("Moved", Moved::FIELDS),
        ("ObjectDetail", ObjectDetail::FIELDS),
        ("Obstacle", Obstacle::FIELDS),
        ("Place", Place::FIELDS),
    ];
    structures.iter().map(|(name, fields)| format!("| {name} | {} |", fields_cell(fields))).collect()
}

#[test]
fn the_document_lists_exactly_the_messages() {
    let shown: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| 0x")).collect();
    let expected = message_lines();
    assert_eq!(shown, expected, "the tables of messages should be:\n{}", expected.join("\n"));
}

#[test]
fn the_document_lists_the_structures() {
    for line in structure_lines() {
        assert!(DOCUMENT.lines().any(|shown| shown == line), "the document lacks:\n{line}");
    }
}

#[test]
fn the_document_states_the_limits() {
    for limit in [format!("{DEPTH_MAX} levels"), format!("{} Mi items", ITEMS_MAX >> 20)] {
        assert!(DOCUMENT.contains(&limit), "{limit}");
    }
}
