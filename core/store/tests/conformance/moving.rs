//! Everything of a database, from one engine into the other and back.

use std::sync::Arc;

use mytism_disk_under_test::Dice;
use mytism_store::postgres::PostgresFilling;
use mytism_store::sqlite::{SqliteFilling, SqliteStore};
use mytism_store::transfer::{self, Content, Target};
use mytism_store::{Filling, Store, View};
use mytism_testkit::PostgresServer;

use crate::place::{Place, options};
use crate::work::{Writer, schema};

fn content(view: &dyn View) -> Content {
    transfer::content(view, &mut |_, _| {}).unwrap()
}

fn fill<T: Target + 'static>(view: &dyn View, filling: T) {
    let mut filling = Box::new(filling);
    let mut told = (0, 0);
    let read = transfer::copy(view, &mut *filling, &mut |done, all| told = (done, all)).unwrap();
    assert_eq!(read, content(view));
    assert_eq!(told.0, told.1);
    filling.finish().unwrap();
}

#[test]
fn there_and_back() {
    let Some(server) = PostgresServer::shared() else { return };
    let schema = schema(tempfile::tempdir().unwrap().path());
    let from = Place::with(None, Arc::clone(&schema));
    let mut writer = Writer::new(&schema, 3_000);
    let mut dice = Dice::new(7);
    for _ in 0..150 {
        from.commit(writer.next(&mut dice));
    }
    let before = content(&*from.view());
    assert!(before.objects > 20 && before.entries > 50 && before.pending > 3, "{before:?}");

    let (address, directory) = (server.database(), tempfile::tempdir().unwrap());
    let filling = PostgresFilling::create(Some(directory.path()), &options(&address), Arc::clone(&schema)).unwrap();
    fill(&*from.view(), filling);
    let server_store = mytism_store::postgres::PostgresStore::open(directory.path(), &options(&address)).unwrap();
    assert_eq!(content(&*server_store.view().unwrap()), before);
    assert!(server_store.view().unwrap().damages().unwrap().is_empty());
    // It goes on as any other.
    let mut other = writer.clone();
    for _ in 0..20 {
        let batch = other.next(&mut dice);
        server_store.commit(&batch).unwrap();
        from.commit(batch);
    }
    let after = content(&*from.view());
    assert_ne!(after, before);

    let back = tempfile::tempdir().unwrap();
    fill(&*server_store.view().unwrap(), SqliteFilling::create(back.path(), Arc::clone(&schema)).unwrap());
    let back = SqliteStore::open(back.path()).unwrap();
    assert_eq!(content(&*back.view().unwrap()), after);

    // A copy in a file is a database of the embedded engine.
    let copy = tempfile::tempdir().unwrap();
    server_store.view().unwrap().copy_to(&copy.path().join("objects.db"), &mut |_, _| {}).unwrap();
    let copied = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(content(&*copied.view().unwrap()), after);
}

#[test]
fn what_is_broken_off_leaves_nothing() {
    let Some(server) = PostgresServer::shared() else { return };
    let schema = schema(tempfile::tempdir().unwrap().path());
    let (address, directory) = (server.database(), tempfile::tempdir().unwrap());
    let make = || PostgresFilling::create(Some(directory.path()), &options(&address), Arc::clone(&schema));
    drop(make().unwrap());
    // The server notices a moment later.
    Box::new(make().unwrap()).finish().unwrap();
    assert_eq!(make().err().unwrap().failure().code, "project-exists");
}
