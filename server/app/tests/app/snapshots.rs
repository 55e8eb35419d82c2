//! Snapshots that are not what a head office makes: none of them brings a branch to life.

use std::sync::Arc;

use mytism_app::snapshot::Loader;
use mytism_app::{AppError, Identity};
use mytism_core::id::{Hash, NodeId, Position};
use mytism_format::envelope;
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;

use crate::world::{Node, head_office};

/// A loader for a new branch, with the directory of its store.
fn loader(head: &Node) -> (Loader, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(directory.path(), Arc::clone(head.app.schema())).unwrap());
    (Loader::new(store), directory)
}

fn code<T>(result: Result<T, AppError>) -> String {
    result.map(drop).unwrap_err().failure().code
}

/// The log of a head office with some entries, in one part.
fn log(head: &Node) -> Vec<u8> {
    for _ in 0..3 {
        head.make("Customer", &[]).unwrap();
    }
    let part = head.app.snapshot().unwrap().next_entries().unwrap().unwrap();
    assert!(part.count > 3);
    part.bytes
}

/// The length of the first entry with its transaction, both behind their lengths.
fn first(bytes: &[u8]) -> usize {
    let length = |bytes: &[u8]| 4 + u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    let entry = length(bytes);
    entry + length(&bytes[entry..])
}

#[test]
fn a_log_with_a_gap_is_refused() {
    let head = head_office();
    let bytes = log(&head);
    let (end, next) = (first(&bytes), first(&bytes[first(&bytes)..]));
    assert_eq!(code(loader(&head).0.entries(&bytes[end..])), "broken-chain");
    let without_second = [&bytes[..end], &bytes[end + next..]].concat();
    assert_eq!(code(loader(&head).0.entries(&without_second)), "broken-chain");
    let (mut whole, _directory) = loader(&head);
    assert!(whole.entries(&bytes).unwrap() > 3);
    assert_eq!(code(whole.entries(&bytes)), "broken-chain", "the same once more");
}

#[test]
fn a_log_that_is_cut_off_is_refused() {
    let head = head_office();
    let bytes = log(&head);
    for cut in [1, 3, 4, 20, bytes.len() - 1] {
        let (mut loader, _directory) = loader(&head);
        assert_eq!(code(loader.entries(&bytes[..cut])), "damaged-snapshot", "{cut} bytes");
    }
}

#[test]
fn a_snapshot_that_ends_elsewhere_is_refused() {
    let head = head_office();
    let bytes = log(&head);
    let identity = Identity { name: "bonn".into(), node: NodeId(2), incarnation: 1, authoritative: false };
    let at = head.app.snapshot().unwrap().head;
    let wrong = |entries: &[u8], position: Position, hash: Hash| {
        let (mut loader, _directory) = loader(&head);
        loader.entries(entries).unwrap();
        loader.finish(&identity, &[], position, hash)
    };
    assert_eq!(code(wrong(&[], at.position, at.hash)), "incomplete-snapshot");
    assert_eq!(code(wrong(&bytes[..first(&bytes)], at.position, at.hash)), "incomplete-snapshot");
    assert_eq!(code(wrong(&bytes, at.position, Hash([7; 32]))), "incomplete-snapshot");
    wrong(&bytes, at.position, at.hash).unwrap();
}

#[test]
fn a_record_of_a_newer_program_is_refused_unless_it_may_be_passed_over() {
    let head = head_office();
    let with = |flags| {
        let mut bytes = head.app.snapshot().unwrap().next_objects().unwrap().unwrap().bytes;
        envelope::write(&mut bytes, 0x01fe, 1, flags, &[0x80]).unwrap();
        bytes
    };
    assert_eq!(code(loader(&head).0.objects(&with(0))), "unknown-record");
    assert!(loader(&head).0.objects(&with(envelope::FLAG_MAY_SKIP)).unwrap() > 0);
}
