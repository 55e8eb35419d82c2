//! A branch joins a head office that goes on saving, and both are killed meanwhile.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mytism_testkit::{Project, RunningNode, compare, wait_until_in_step};
use serde_json::json;

use crate::trade::schema;

/// So many customers take some parts of a snapshot, which come one after the other.
const CUSTOMERS: u32 = 60_000;

/// A head office with many customers.
fn head_office() -> RunningNode {
    let head = Project::head_office("hamburg", &schema());
    let file = head.root().join("customers.csv");
    let mut rows = BufWriter::new(fs::File::create(&file).unwrap());
    writeln!(rows, "CustomerID,CompanyName,Address,City").unwrap();
    for number in 0..CUSTOMERS {
        // Hardly to be compressed, so that parts are as large as those of real data.
        let noise = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(rows, "C{number:06},Firma {noise:x},Weg {number},Ort {}", number % 97).unwrap();
    }
    rows.flush().unwrap();
    let running = RunningNode::start(&head);
    let _imported = head.run(&["import", &file.to_string_lossy(), "--entity", "Customer"], "").success();
    running
}

/// Somebody who saves until it is dropped. A save that meets a head office that is down is made again.
struct Saver(Arc<AtomicBool>, Option<JoinHandle<u32>>);

impl Saver {
    fn start(head: &Project) -> Self {
        let (over, head) = (Arc::<AtomicBool>::default(), head.clone());
        let told = Arc::clone(&over);
        let saving = std::thread::spawn(move || {
            let mut saved = 0;
            while !told.load(Ordering::Relaxed) {
                let values = json!({"CustomerID": format!("S{saved:06}"), "City": "Bonn"});
                let document = json!({"changes": [{"new": "c", "entity": "Customer", "values": values}]});
                let said = head.run_json(&["save"], &document.to_string());
                saved += u32::from(said.status == Some(0));
            }
            saved
        });
        Self(over, Some(saving))
    }

    fn end(mut self) -> u32 {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap()
    }
}

fn begin_to_join(branch: &Project, account: &Path) -> Child {
    let mut command = branch.command(&["--json", "join", "--sync-account", &account.to_string_lossy()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Parts of the snapshot that have arrived, by the hashes that they are named by.
fn arrived(branch: &Project) -> u64 {
    let found = fs::read_dir(branch.directory().join("data").join("incoming")).into_iter().flatten().flatten();
    found.filter(|entry| entry.file_name().len() == 64).count() as u64
}

#[test]
fn a_join_that_is_killed_at_either_end_goes_on() {
    let mut head = head_office();
    let account = head.project().account("berlin");
    let saver = Saver::start(head.project());
    let branch = Project::empty("berlin");
    // The branch is killed as soon as something has arrived.
    let mut joining = begin_to_join(&branch, &account);
    while arrived(&branch) < 2 {
        assert!(joining.try_wait().unwrap().is_none(), "it ended before anything arrived");
        std::thread::yield_now();
    }
    joining.kill().unwrap();
    joining.wait().unwrap();
    let first = arrived(&branch);
    assert!(first >= 2);
    // The head office is killed in the middle of the next attempt, as soon as more has arrived or the join is done with
    // what there is to fetch.
    let mut joining = begin_to_join(&branch, &account);
    while arrived(&branch) <= first && joining.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    head.kill9();
    joining.wait().unwrap();
    let second = arrived(&branch);
    head.restart();
    if !branch.config_file().exists() {
        assert!(second >= first, "what has arrived stays");
        let joined = branch.join(&account).success().json();
        // The snapshot is still young, so nothing that arrived is sent again. One part may have been cut off.
        assert!(joined["kept"].as_u64().unwrap() + 1 >= second, "{joined} after {second} parts");
    }
    branch.retry_soon();
    let saved = saver.end();
    assert!(saved > 0);
    let running = RunningNode::start(&branch);
    wait_until_in_step(head.project(), &[&branch]);
    mytism_testkit::wait_until("the history is here", mytism_testkit::PATIENCE, || {
        branch.status()["history_begin"].is_null()
    });
    assert_eq!(compare(&head.project().database(), &branch.database()), Vec::<String>::new());
    let counted = branch.query("select count(*) as n from Customer c");
    assert_eq!(counted, head.project().query("select count(*) as n from Customer c"));
    drop(running);
}
