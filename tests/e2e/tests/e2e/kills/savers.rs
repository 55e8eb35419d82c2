//! Who saves while the node is killed: several connections, each with groups of objects of its own.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use mytism_client::Client;
use mytism_core::failure::{Failure, FailureKind};
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, ImportBatch, ImportMode, Input, Operations, ReferenceInput, Reply, Request,
    RowOutcome, SaveRequest,
};
use mytism_testkit::{PATIENCE, Project, wait_until};

use super::SAVERS;
use super::dice::Dice;
use super::known::{Acknowledged, Group, Kind, Known, Version};

/// So many groups of one saver in one round at most.
const GROUPS_MAX: u64 = 10_000;

/// A connection to the running node of a project.
pub(crate) fn client(project: &Project) -> Result<Client, Failure> {
    Client::connect(&mytism_transport::local::socket_path(&project.directory()))
}

/// Savers at work. They end when their node does.
pub(crate) struct Savers {
    acknowledged: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Saver>>,
}

impl Savers {
    /// Connects all of them. Each takes over a share of the groups that are there, to change and delete them.
    #[track_caller]
    pub(crate) fn start(project: &Project, known: &Known, dice: &mut Dice, round: u64) -> Self {
        let acknowledged = Arc::<AtomicU64>::default();
        let stopping = Arc::<AtomicBool>::default();
        let saver = |index: u64| {
            let name = format!("acknowledged-{round}-{index}");
            let path = project.root().join(name);
            let shared = |(number, group): (&u64, &Group)| {
                let mine = number % SAVERS == index && group.version.is_some();
                mine.then(|| (*number, group.clone()))
            };
            let saver = Saver {
                client: client(project).expect("the node runs"),
                file: OpenOptions::new().create_new(true).append(true).open(&path).expect("a file can be made"),
                path,
                dice: dice.child(),
                // Only so many old ones, so that the rounds don't get longer and longer.
                groups: known.groups.iter().rev().filter_map(shared).take(10).collect(),
                next: (round * GROUPS_MAX) * SAVERS + index,
                acknowledged: Arc::clone(&acknowledged),
                stopping: Arc::clone(&stopping),
            };
            std::thread::spawn(move || saver.run())
        };
        let threads = (0..SAVERS).map(saver).collect();
        Self { acknowledged, stopping, threads }
    }

    /// Waits until so many saves were acknowledged.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: u64) {
        wait_until(&format!("{count} saves are acknowledged"), PATIENCE, || {
            self.acknowledged.load(Ordering::Relaxed) >= count
        });
    }

    /// Lets them end though their node lives.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until all have ended, or noticed that their node is gone, and notes what they know.
    #[track_caller]
    pub(crate) fn end(self, known: &mut Known) {
        for thread in self.threads {
            let saver = thread.join().expect("no saver fails");
            known.add(saver.groups, saver.path);
        }
    }
}

/// Saves one thing after the other over one connection.
struct Saver {
    client: Client,
    file: File,
    path: PathBuf,
    dice: Dice,
    groups: Vec<(u64, Group)>,
    next: u64,
    acknowledged: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
}

impl Saver {
    /// Saves until the node is gone, or it shall end.
    fn run(mut self) -> Self {
        while !self.stopping.load(Ordering::Relaxed) {
            let (place, version) = self.choose();
            let Some((number, group)) = self.groups.get_mut(place) else { continue };
            group.asked.push(version);
            let request = request(*number, group, version);
            match answer(&self.client, request) {
                Ok((transaction, made)) => {
                    if group.ids.is_empty() {
                        group.ids.clone_from(&made);
                    }
                    group.version = version;
                    let told = Acknowledged { transaction, group: *number, version, made };
                    write_down(&mut self.file, &told);
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                // The node was killed before it answered, so nobody knows.
                Err(failure) if failure.kind == FailureKind::Unreachable => break,
                Err(failure) => panic!(
                    "a save may be lost with its node, but not be refused: {failure:?}; group {number}: {group:?}"
                ),
            }
        }
        self
    }

    /// A group, and the version that it shall get.
    fn choose(&mut self) -> (usize, Version) {
        let old = self.groups.iter().enumerate().filter(|(_, (_, group))| group.version.is_some());
        let old: Vec<usize> = old.map(|(place, _)| place).collect();
        if old.is_empty() || self.dice.below(2) == 0 {
            let kind = if self.dice.below(3) == 0 { Kind::Imported } else { Kind::Saved };
            self.groups.push((self.next, Group { kind, ids: Vec::new(), version: None, asked: Vec::new() }));
            self.next += SAVERS;
            return (self.groups.len() - 1, Some(1));
        }
        let place = usize::try_from(self.dice.below(old.len() as u64)).map_or(0, |index| old[index]);
        let version = self.groups[place].1.version.unwrap_or_default() + 1;
        (place, (self.dice.below(3) > 0).then_some(version))
    }
}

fn write_down(file: &mut File, acknowledged: &Acknowledged) {
    file.write_all(acknowledged.line().as_bytes()).expect("a line can be written");
    file.sync_all().expect("a file can be made durable");
}

/// Asks and waits: the transaction, and the ids of new objects.
fn answer(client: &Client, request: Request) -> Result<(TransactionId, Vec<ObjectId>), Failure> {
    let mut answer = None;
    client.call(request, &mut |reply| {
        answer = match reply {
            Reply::Saved(saved) => {
                saved.transaction.map(|transaction| (transaction, saved.ids.into_iter().map(|(_, id)| id).collect()))
            }
            Reply::Imported(imported) => {
                let made = imported.rows.iter().filter_map(|row| match row {
                    RowOutcome::Inserted(id) => Some(*id),
                    _ => None,
                });
                imported.run.map(|run| (run, made.collect()))
            }
            _ => None,
        };
        Ok(())
    })?;
    Ok(answer.expect("something was changed"))
}

/// What brings a group to a version.
fn request(number: u64, group: &Group, version: Version) -> Request {
    let Some(version) = version else {
        // Orders first: nothing may refer to a customer that goes.
        let delete = |id: &ObjectId| ChangeRequest { delete: Some(true), ..change(*id, Vec::new()) };
        return save(group.ids.iter().rev().map(delete).collect());
    };
    match group.kind {
        Kind::Saved if group.ids.is_empty() => save(new_objects(number, version)),
        Kind::Saved => {
            let change = |(place, id): (usize, &ObjectId)| {
                let attribute = if place == 0 { "City" } else { "ShipCity" };
                change(*id, vec![named(attribute, Input::Text(text(version)))])
            };
            save(group.ids.iter().enumerate().map(change).collect())
        }
        Kind::Imported => {
            let row = |index: usize| {
                let cells = [format!("{number}/{index}"), fax(number), text(version)];
                cells.into_iter().map(Some).collect()
            };
            Request::Import(ImportBatch {
                run: None,
                description: format!("import of group {number}"),
                entity: "Customer".to_owned(),
                key: None,
                columns: ["CustomerID", "Fax", "City"].map(str::to_owned).to_vec(),
                rows: (0..group.kind.size()).map(row).collect(),
                mode: ImportMode::Upsert,
                skip_bad_rows: false,
                dry_run: false,
                ..ImportBatch::default()
            })
        }
    }
}

/// A customer and two orders of his.
fn new_objects(number: u64, version: u64) -> Vec<ChangeRequest> {
    let customer = new(
        "c",
        "Customer",
        vec![
            named("CustomerID", Input::Text(format!("{number}/0"))),
            named("Fax", Input::Text(fax(number))),
            named("City", Input::Text(text(version))),
        ],
    );
    let order = |index: u64| {
        let values = vec![
            named("OrderID", Input::Number((number * 10 + index).to_string())),
            named("Customer", Input::Reference(ReferenceInput::Label("c".to_owned()))),
            named("ShipName", Input::Text(fax(number))),
            named("ShipCity", Input::Text(text(version))),
        ];
        new(&format!("o{index}"), "Order", values)
    };
    vec![customer, order(1), order(2)]
}

fn fax(number: u64) -> String {
    format!("group {number}")
}

fn text(version: u64) -> String {
    format!("version {version}")
}

fn named(attribute: &str, value: Input) -> (String, Input) {
    (attribute.to_owned(), value)
}

fn new(label: &str, entity: &str, values: Vec<(String, Input)>) -> ChangeRequest {
    let target = ChangeTarget::New { label: label.to_owned(), entity: entity.to_owned() };
    ChangeRequest { target, values, expect: Vec::new(), delete: None }
}

const fn change(id: ObjectId, values: Vec<(String, Input)>) -> ChangeRequest {
    ChangeRequest { target: ChangeTarget::Object(id), values, expect: Vec::new(), delete: None }
}

const fn save(changes: Vec<ChangeRequest>) -> Request {
    Request::Save(SaveRequest { description: String::new(), changes })
}
