//! Materialised snapshots: what is written into a directory makes a node that shows the same, and nothing that is
//! damaged, missing, foreign or newer does.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mytism_app::snapshot::directory::{keep_part, manifest_file, part_file, read_manifest, read_part, understand};
use mytism_app::snapshot::{Loader, unpack};
use mytism_app::surroundings::Machine;
use mytism_app::{App, AppError, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId, ObjectId};
use mytism_core::operation::{HistoryRequest, Reply, Request};
use mytism_format::hash;
use mytism_format::manifest::{self, Content, Manifest};
use mytism_store::sqlite::{SqliteFilling, SqliteStore};
use mytism_store::{Store, View};
use proptest::prelude::*;

use crate::world::{Node, change, delete, head_office, text};

fn code<T>(result: Result<T, AppError>) -> String {
    result.map(drop).unwrap_err().failure().code
}

fn snapshot(head: &Node) -> (Manifest, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut told = 0;
    let manifest = head.app.write_snapshot(directory.path(), &mut |done, _| told = done).unwrap();
    assert_eq!(told, manifest.objects);
    (manifest, directory)
}

/// Loads a snapshot into a database of its own.
fn load(head: &Node, from: &Path) -> Result<Node, AppError> {
    let manifest = read_manifest(from)?.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let filling = SqliteFilling::create(directory.path(), Arc::clone(head.app.schema()))?;
    let mut loader = Loader::from_manifest(Box::new(filling), &manifest);
    for part in &manifest.parts {
        let stored = fs::read(part_file(from, part.hash)).unwrap();
        loader.load(&unpack(part, &stored)?)?;
    }
    let identity = Identity { name: "bonn".into(), node: NodeId(2), incarnation: 1, authoritative: false };
    loader.finish(&identity, &[], manifest.position, manifest.hash)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path())?);
    let app = App::open(store, Arc::clone(head.app.schema()), Arc::new(Machine::default()))?;
    Ok(Node::of(app, directory))
}

/// All objects with their bookkeeping and sets.
fn objects(view: &dyn View) -> Vec<mytism_format::object::ObjectState> {
    let mut objects = view.objects_after(0, u32::MAX).unwrap();
    for object in &mut objects {
        object.slots.sort_by_key(|(slot, _)| *slot);
    }
    objects
}

/// A head office with objects of several kinds, one of them deleted, and a few entries of its log.
fn busy() -> (Node, ObjectId) {
    let head = head_office();
    let customer = head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    for number in 0..40 {
        head.make("Customer", &[("CustomerID", text(&format!("C{number:04}")))]).unwrap();
    }
    (head, customer)
}

fn history(node: &Node, object: ObjectId) -> Result<Vec<Reply>, Failure> {
    node.call(Request::History(HistoryRequest { object, attribute: None, after: None, limit: None }))
}

#[test]
fn a_node_that_is_made_from_a_snapshot_shows_the_same() {
    let (head, customer) = busy();
    let (manifest, directory) = snapshot(&head);
    let branch = load(&head, directory.path()).unwrap();
    let (ours, theirs) = (head.app.view().unwrap(), branch.app.view().unwrap());
    assert_eq!(objects(&*ours), objects(&*theirs));
    assert_eq!(ours.head().unwrap(), theirs.head().unwrap());
    assert_eq!(theirs.log_begin().unwrap(), manifest.position.number);
    assert_eq!(mytism_app::history::cluster(&*ours).unwrap(), mytism_app::history::cluster(&*theirs).unwrap());
    let query = |node: &Node| node.rows("from Customer where CustomerID = 'ALFKI'");
    assert_eq!(query(&head), query(&branch));
    assert_eq!(history(&branch, customer).unwrap_err().code, "history-incomplete");
}

#[test]
fn what_was_here_before_arrives_afterwards() {
    let (head, customer) = busy();
    let (_, directory) = snapshot(&head);
    let branch = load(&head, directory.path()).unwrap();
    let end = head.app.view().unwrap().head().unwrap().unwrap().position.number;
    assert_eq!(branch.app.history_begin().unwrap(), Some(end));
    assert_eq!(code(branch.app.promote()), "history-incomplete");
    let piece = head.app.history_below(end).unwrap();
    // One that does not lead to what is here, and one that is damaged.
    assert_eq!(code(branch.app.take_history(&head.app.history_below(end - 1).unwrap().bytes)), "broken-chain");
    let mut damaged = piece.bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    branch.app.take_history(&damaged).unwrap_err();
    assert_eq!(branch.app.history_begin().unwrap(), Some(end));
    assert_eq!(branch.app.take_history(&piece.bytes).unwrap(), None);
    let logs = |node: &Node| node.app.view().unwrap().log_after(0, u32::MAX, usize::MAX).unwrap();
    assert_eq!(logs(&head), logs(&branch));
    assert_eq!(history(&head, customer), history(&branch, customer));
    // Once more changes nothing.
    assert_eq!(branch.app.take_history(&piece.bytes).unwrap(), None);
    branch.app.promote().unwrap();
}

#[test]
fn a_branch_without_its_history_says_so() {
    let (head, customer) = busy();
    let (_, directory) = snapshot(&head);
    let branch = load(&head, directory.path()).unwrap();
    let refused = |request: Request| branch.call(request).unwrap_err().code;
    assert_eq!(refused(Request::Show { object: customer, as_of: Some("3".to_owned()) }), "history-incomplete");
    assert_eq!(refused(Request::Quarantine), "history-incomplete");
    assert_eq!(refused(Request::VoidNumbers { range: None }), "history-incomplete");
    let head = branch.app.view().unwrap().head().unwrap().unwrap();
    assert_eq!(code(branch.app.history_below(head.position.number)), "history-incomplete");
}

#[test]
fn what_belongs_to_one_node_alone_is_in_no_snapshot() {
    let (head, _) = busy();
    let verifier = "5ec7e7".repeat(10) + "5ec7";
    head.app.add_node(&Context::local(), "bonn", 14, &verifier).unwrap();
    let blocks = head.app.view().unwrap().get("blocks").unwrap().unwrap();
    let (manifest, directory) = snapshot(&head);
    for part in manifest.parts {
        let stored = read_part(directory.path(), part.hash).unwrap().unwrap();
        let raw = zstd::bulk::decompress(&stored, usize::try_from(part.raw_bytes).unwrap()).unwrap();
        for secret in [verifier.as_bytes(), &blocks] {
            assert!(!raw.windows(secret.len()).any(|window| window == secret), "{part:?}");
        }
    }
}

#[test]
fn a_branch_makes_no_snapshot() {
    let branch = head_office().branch("bonn");
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(code(branch.app.write_snapshot(directory.path(), &mut |_, _| {})), "not-authoritative");
}

#[test]
fn a_snapshot_that_is_not_whole_is_none() {
    let (head, _) = busy();
    let (manifest, directory) = snapshot(&head);
    let first = manifest.parts[0];
    let file = part_file(directory.path(), first.hash);
    let stored = fs::read(&file).unwrap();
    // Damaged: neither handed on nor loaded.
    fs::write(&file, &stored[1..]).unwrap();
    assert_eq!(read_part(directory.path(), first.hash).unwrap(), None);
    assert_eq!(code(load(&head, directory.path())), "damaged-snapshot");
    assert_eq!(code(keep_part(directory.path(), first.hash, &stored[1..])), "damaged-snapshot");
    keep_part(directory.path(), first.hash, &stored).unwrap();
    load(&head, directory.path()).unwrap();
    // Missing.
    assert_eq!(read_part(directory.path(), Hash([7; 32])).unwrap(), None);
    // Without its manifest it is one that was broken off.
    fs::remove_file(manifest_file(directory.path())).unwrap();
    assert_eq!(read_manifest(directory.path()).unwrap(), None);
}

#[test]
fn a_manifest_of_other_parts_brings_nothing_to_life() {
    let (head, _) = busy();
    let (manifest, directory) = snapshot(&head);
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut other = manifest.clone();
        change(&mut other);
        fs::write(manifest_file(directory.path()), manifest::write(&other).unwrap()).unwrap();
        code(load(&head, directory.path()))
    };
    assert_eq!(with(&|other| other.hash = Hash([7; 32])), "incomplete-snapshot");
    assert_eq!(with(&|other| other.position.number += 1), "broken-chain");
    assert_eq!(with(&|other| other.parts[0].raw_bytes += 1), "damaged-snapshot");
    assert_eq!(
        with(&|other| {
            other.parts[0].count += 1;
            other.objects += 1;
        }),
        "damaged-snapshot"
    );
    let gone = with(&|other| {
        let gone = other.parts.remove(0);
        other.objects -= gone.count;
        other.objects += 1;
        other.parts[0].count += 1;
    });
    assert_eq!(gone, "damaged-snapshot");
    assert_eq!(code(understand(&[1, 2, 3])), "damaged-snapshot");
    let mut newer = manifest::write(&manifest).unwrap();
    mytism_format::envelope::write(&mut newer, 0x01fe, 1, 0, &[0x80]).unwrap();
    assert_eq!(code(understand(&newer)), "newer-snapshot");
}

#[test]
fn parts_stay_the_same_where_objects_do() {
    let head = head_office();
    let (before, _first) = snapshot(&head);
    head.make("Customer", &[]).unwrap();
    let (after, _second) = snapshot(&head);
    let hashes = |manifest: &Manifest| -> Vec<Hash> {
        let objects = manifest.parts.iter().filter(|part| part.content == Content::Objects);
        objects.map(|part| part.hash).collect()
    };
    let (before, after) = (hashes(&before), hashes(&after));
    let new = after.iter().filter(|hash| !before.contains(hash)).count();
    assert!(before.len() > 2 && new == 1, "{new} of {} parts are new", after.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_objects_come_out_as_they_went_in(
        texts in proptest::collection::vec(("\\PC{0,40}", any::<bool>(), any::<bool>()), 1..30),
    ) {
        let head = head_office();
        for (value, changes_later, is_deleted) in &texts {
            let id = head.make("Customer", &[("CompanyName", text(value))]).unwrap_or_else(|_| head.make("Customer", &[]).unwrap());
            if *changes_later {
                head.save(vec![change(id, &[("CompanyName", text("later"))])]).unwrap();
            }
            if *is_deleted {
                head.save(vec![delete(id)]).unwrap();
            }
        }
        let (manifest, directory) = snapshot(&head);
        for part in &manifest.parts {
            let stored = read_part(directory.path(), part.hash).unwrap().unwrap();
            prop_assert_eq!(hash::chunk(&stored), part.hash);
        }
        let branch = load(&head, directory.path()).unwrap();
        prop_assert_eq!(objects(&*head.app.view().unwrap()), objects(&*branch.app.view().unwrap()));
        prop_assert_eq!(head.rows("from Customer order by id"), branch.rows("from Customer order by id"));
    }
}
