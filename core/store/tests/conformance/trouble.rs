//! A server that is killed, restarted, full of connections, or back at an older state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mytism_store::postgres::{PoolOptions, PostgresOptions, PostgresStore};
use mytism_store::{Store, Write};
use mytism_testkit::PostgresServer;

use crate::place::{Place, entry, odd_schema, options};

fn put(value: u64) -> Write {
    Write::Put { key: "last", value: value.to_be_bytes().to_vec() }
}

/// D-32: what was acknowledged is there, what failed is not there or was said to be unknown, and nothing is there twice.
#[test]
fn a_server_that_dies_under_load_loses_nothing() {
    let Some(server) = PostgresServer::start_new() else { return };
    let mut place = Place::with(Some(server.database()), odd_schema());
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 1;
            while !stop.load(Ordering::Relaxed) {
                let batch = vec![Write::Log(entry(1, number % 200, 2_000)), put(number)];
                let batch = if number >= 200 { vec![put(number)] } else { batch };
                match place.store().commit(&batch) {
                    Ok(()) => {
                        acknowledged.store(number, Ordering::SeqCst);
                        number += 1;
                    }
                    Err(error) => {
                        let code = error.failure().code;
                        assert!(["database-unreachable", "database-busy"].contains(&&*code), "{error}");
                        let last = wait_for_view(place.store());
                        assert!(last == number || last == number - 1, "{last} of {number}");
                        number = last + 1;
                    }
                }
            }
        });
        for round in 0..4 {
            let before = acknowledged.load(Ordering::SeqCst);
            mytism_testkit::wait_until("saves go on", mytism_testkit::PATIENCE, || {
                acknowledged.load(Ordering::SeqCst) > before + 20
            });
            if round % 2 == 0 {
                server.kill();
            } else {
                server.stop();
            }
            server.start();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let last = acknowledged.load(Ordering::SeqCst);
    assert_eq!(wait_for_view(place.store()), last);
    place.reopen();
    assert_eq!(wait_for_view(place.store()), last);
}

/// What the last commit put there, as soon as it can be read.
fn wait_for_view(store: &dyn Store) -> u64 {
    let mut found = None;
    mytism_testkit::wait_until("it can be read again", mytism_testkit::PATIENCE, || {
        found = store.view().and_then(|view| view.get("last")).ok();
        found.is_some()
    });
    found.flatten().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// D-32: a copy that lagged took over.
#[test]
fn a_server_that_went_back_is_told_and_refused() {
    let Some(server) = PostgresServer::start_new() else { return };
    let place = Place::with(Some(server.database()), odd_schema());
    place.commit(vec![Write::Log(entry(1, 1, 10)), put(1)]);
    let copy = server.copied();
    place.commit(vec![Write::Log(entry(1, 2, 10)), put(2)]);
    server.fall_back_to(&copy);
    assert_eq!(place.store().view().err().unwrap().failure().code, "database-older");
    for _ in 0..2 {
        let refused = place.store().commit(&vec![Write::Log(entry(1, 3, 10))]).unwrap_err();
        assert_eq!(refused.failure().code, "database-older", "{refused}");
    }
}

/// D-32: all connections are taken.
#[test]
fn no_connection_is_free() {
    let Some(server) = PostgresServer::start_new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pool = PoolOptions { maximum: 3, patience: Duration::from_millis(300), ..PoolOptions::default() };
    let few = PostgresOptions::new(&server.database(), None, None, pool).unwrap();
    let store = Arc::new(PostgresStore::create(directory.path(), &few, odd_schema()).unwrap());
    assert!(store.warnings().is_empty());
    let views: Vec<_> = (0..3).map(|_| store.view().unwrap()).collect();
    assert_eq!(store.view().err().unwrap().failure().code, "database-exhausted");
    // Saves have a connection of their own.
    store.commit(&vec![put(1)]).unwrap();
    drop(views);
    assert_eq!(store.view().unwrap().get("last").unwrap(), Some(1_u64.to_be_bytes().to_vec()));
    drop(store);
    // A pool larger than the server is cut.
    let many = PoolOptions { maximum: 500, ..pool };
    let many = PostgresOptions::new(&server.database(), None, None, many).unwrap();
    let store = PostgresStore::create(directory.path(), &many, odd_schema()).unwrap();
    assert!(store.warnings().first().is_some_and(|said| said.contains("500")), "{:?}", store.warnings());
}

#[test]
fn what_cannot_be_opened_says_why() {
    let Some(server) = PostgresServer::start_new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let code = |address: &str| {
        let opened = PostgresStore::open(directory.path(), &options(address));
        opened.err().unwrap().failure().code
    };
    assert_eq!(code(&server.database()), "no-project");
    assert_eq!(code(&server.address("nobody_made_it")), "database-login");
    assert_eq!(code("postgresql://127.0.0.1:1/demo?user=x"), "database-unreachable");
    let address = server.database();
    drop(PostgresStore::create(directory.path(), &options(&address), odd_schema()).unwrap());
    server.sql(&address, "UPDATE mytism_meta SET value = '\\x000000ff' WHERE key = 'format'");
    assert_eq!(code(&address), "newer-database");
    server.sql(&address, "DELETE FROM mytism_meta WHERE key = 'format'");
    assert_eq!(code(&address), "database-damaged");
}

#[test]
fn tables_that_are_not_those_of_the_schema_are_told() {
    let Some(server) = PostgresServer::shared() else { return };
    let place = Place::with(Some(server.database()), odd_schema());
    let address = place.address.clone().unwrap();
    assert_eq!(place.view().foreign_tables().unwrap(), Vec::<String>::new());
    server.sql(&address, "DROP INDEX mytism_index_11_106");
    server.sql(&address, "DROP VIEW select_view");
    server.sql(&address, "ALTER TABLE mytism_quarantine RENAME TO other");
    let told = place.view().foreign_tables().unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    for word in ["mytism_index_11_106", "select_view", "mytism_quarantine"] {
        assert!(told.iter().any(|said| said.contains(word)), "{word}: {told:?}");
    }
}
