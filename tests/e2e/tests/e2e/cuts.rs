//! Processes that are killed at any moment: what was acknowledged is there, and nodes come into step by themselves.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until, wait_until_in_step};

use crate::trade::{self, assert_equal, branch, head_office, order, order_numbers};

/// Rounds of savers whose node is killed.
const ROUNDS: u64 = 5;
/// Savers that work at the same time.
const SAVERS: u64 = 4;

#[test]
fn both_sides_save_while_the_other_is_gone() {
    let mut head = head_office();
    let mut branch = branch(&head, "berlin");
    head.kill9();
    (100..120).for_each(|number| drop(branch.project().save(&order(number))));
    assert_eq!(branch.project().status()["pending"], 20);
    branch.kill9();
    let _ready = head.restart();
    (200..220).for_each(|number| drop(head.project().save(&order(number))));
    let _ready = branch.restart();
    assert!(branch.project().status()["objects"].as_u64() >= Some(20));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
    assert_eq!(order_numbers(head.project()), (100..120).chain(200..220).collect::<Vec<_>>());
}

#[test]
fn what_a_killed_branch_acknowledged_is_there() {
    let head = head_office();
    let mut branch = branch(&head, "berlin");
    let mut sent = Sent::default();
    for round in 0..ROUNDS {
        let savers = Savers::start(branch.project(), round * 10_000);
        savers.wait_for(10 + 7 * usize::try_from(round).unwrap());
        branch.kill9();
        sent.add(savers.end());
        let _ready = branch.restart();
        sent.check(branch.project());
    }
    wait_until_in_step(head.project(), &[branch.project()]);
    sent.check(head.project());
    assert_equal(head.project(), branch.project());
}

#[test]
fn what_a_killed_head_office_acknowledged_is_there() {
    let mut head = head_office();
    let branch = branch(&head, "berlin");
    let (mut at_head, mut at_branch) = (Sent::default(), Sent::default());
    for round in 0..ROUNDS {
        let ours = Savers::start(head.project(), round * 10_000);
        let theirs = Savers::start(branch.project(), 1_000_000 + round * 10_000);
        ours.wait_for(5);
        theirs.wait_for(5);
        head.kill9();
        at_head.add(ours.end());
        at_branch.add(theirs.end());
        let _ready = head.restart();
    }
    wait_until_in_step(head.project(), &[branch.project()]);
    at_branch.add(at_head);
    at_branch.check(head.project());
    assert_equal(head.project(), branch.project());
}

#[test]
fn a_join_that_was_killed_is_done_again() {
    let head = head_office();
    trade::import_all(head.project());
    let bytes = |directory: &Path| {
        let files = fs::read_dir(directory.join("data")).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>()
    };
    // Before the head office hears of it, while the database is made, and in the middle of the snapshot.
    type Reached<'a> = &'a dyn Fn(&Path) -> bool;
    let moments: [(&str, Reached<'_>); 3] = [
        ("aachen", &|directory| directory.join("keys").exists()),
        ("berlin", &|directory| directory.join("data").join("objects.db").exists()),
        ("coburg", &|directory| bytes(directory) > 400_000),
    ];
    let mut cut = 0;
    for (name, reached) in moments {
        let project = Project::empty(name);
        let account = head.project().account(name);
        let mut join = project.command(&["join", "--sync-account", &account.to_string_lossy()]);
        let mut join = join.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        while !reached(&project.directory()) && join.try_wait().expect("a child can be asked").is_none() {
            std::thread::yield_now();
        }
        join.kill().expect("a process can be killed by its parent");
        join.wait().expect("a killed process ends");
        if project.config_file().exists() {
            continue;
        }
        cut += 1;
        let _nothing = project.run_json(&["status"], "").error(1, "no-project");
        let _joined = project.join(&account).success();
        project.retry_soon();
        let branch = RunningNode::start(&project);
        project.save(&order(1 + cut));
        wait_until_in_step(head.project(), &[branch.project()]);
        assert_equal(head.project(), branch.project());
    }
    assert!(cut > 0, "no join was slow enough to be killed");
}

/// Savers that save one order after the other, each a process of its own, until they are told to end.
pub(crate) struct Savers {
    ended: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Sent>>,
}

/// The numbers of orders whose saving was tried, and of those where it was acknowledged.
#[derive(Default)]
pub(crate) struct Sent {
    tried: Vec<u64>,
    acknowledged: Vec<u64>,
    /// What became of the others, by the code of the failure.
    pub(crate) failed: Vec<String>,
}

impl Savers {
    pub(crate) fn start(project: &Project, first: u64) -> Self {
        let (ended, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let saver = |number: u64| {
            let (project, ended, acknowledged) = (project.clone(), Arc::clone(&ended), Arc::clone(&acknowledged));
            std::thread::spawn(move || save_until(&project, first + number * 1000, &ended, &acknowledged))
        };
        let threads = (0..SAVERS).map(saver).collect();
        Self { ended, acknowledged, threads }
    }

    /// Waits until so many saves were acknowledged.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} saves are acknowledged"), PATIENCE, || {
            self.acknowledged.load(Ordering::Relaxed) >= count
        });
    }

    /// Lets them end what they are at.
    #[track_caller]
    pub(crate) fn end(self) -> Sent {
        self.ended.store(true, Ordering::Relaxed);
        let mut all = Sent::default();
        self.threads.into_iter().for_each(|thread| all.add(thread.join().expect("no saver fails")));
        all
    }
}

fn save_until(project: &Project, first: u64, ended: &AtomicBool, acknowledged: &AtomicUsize) -> Sent {
    let mut sent = Sent::default();
    for number in first..first + 1000 {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        sent.tried.push(number);
        let output = project.run_json(&["save"], &order(number).to_string());
        match output.status {
            Some(0) => {
                sent.acknowledged.push(number);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // The node was killed before it answered, so nobody knows; or it went down, and says so.
            Some(1 | 4) => {
                let document: serde_json::Value = serde_json::from_str(output.stderr.trim()).unwrap_or_default();
                sent.failed.push(document["error"]["code"].as_str().unwrap_or_default().to_owned());
            }
            _ => panic!("a save may be lost with its node, but not be refused: {output}"),
        }
    }
    sent
}

impl Sent {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.tried.append(&mut other.tried);
        self.acknowledged.append(&mut other.acknowledged);
        self.failed.append(&mut other.failed);
    }

    /// All that was acknowledged is there, and nothing that nobody sent.
    #[track_caller]
    pub(crate) fn check(&self, project: &Project) {
        let there = order_numbers(project);
        let lost: Vec<_> = self.acknowledged.iter().filter(|number| there.binary_search(number).is_err()).collect();
        assert!(lost.is_empty(), "{} lost the acknowledged orders {lost:?}", project.name());
        let strange: Vec<_> = there.iter().filter(|number| !self.tried.contains(number)).collect();
        assert!(strange.is_empty(), "{} holds the orders {strange:?}, which nobody saved", project.name());
        assert!(there.windows(2).all(|pair| pair[0] < pair[1]), "{} holds an order twice: {there:?}", project.name());
    }
}
