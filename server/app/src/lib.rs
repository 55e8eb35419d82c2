//! The use cases of a node: everything that can be asked of it, on whose behalf, and the one way into its database.
//!
//! **Only this crate writes to the store**, and it does so in one place, the [commit lane](lane). Around it:
//!
//! 1. [`App`]: the node's inside, as the server and the command line hold it
//! 2. `draft` and `constraint`: from a request with names to checked changes with ids
//! 3. `prepare`, `reads` and `record`: from changes to a transaction in the log, prepared beside the lane
//! 4. `admit` and `conflict`: what the head office makes of the transactions of branches; `resolve`: how a conflict is
//!    settled
//! 5. `apply`: what a branch makes of the entries of the head office
//! 6. `journal` and [`follower`]: what became visible here, and who reads it
//! 7. `import`, `reading`, `output`: rows in, rows out
//! 8. `cluster`: nodes, their accounts, blocks of ids
//! 9. [`contents`]: contents of files, as far as saves name them
//! 10. `quarantine`: what can be done with refused transactions
//! 11. [`numbers`]: numbers that never go back; `reign`: whether a head office decides
//! 12. [`snapshot`]: all of it at one position, for a new branch; [`history`]: the log below, which follows
//! 13. `put_back`: a database from a backup; [`soundness`]: whether one is whole
//! 14. `kept`: what only the node itself changes
//! 15. [`check`]: what is here compared with what another node holds, and mended
//! 16. [`schema_change`]: another schema while the node runs
//!
//! It knows no socket and no files but the store's and those of a snapshot, and takes time and randomness as given ([`surroundings`]).

mod admit;
mod allotment;
mod apply;
mod behaviour;
mod changes;
pub mod check;
mod clock;
pub mod cluster;
mod conflict;
mod constraint;
pub mod contents;
mod context;
mod desks;
mod draft;
mod error;
pub mod follower;
mod fork;
mod foundation;
pub mod history;
mod ids;
mod import;
mod interest;
mod journal;
mod kept;
mod lane;
mod life;
mod live;
pub mod numbers;
mod output;
mod parted;
mod past;
mod prepare;
mod put_back;
mod quarantine;
mod reading;
mod reads;
mod record;
mod reign;
mod resolve;
mod rollback;
pub mod schema_change;
pub mod snapshot;
pub mod soundness;
mod stack;
mod start;
pub mod surroundings;
mod undo;
mod workspace;

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, ObjectId, Position};
use mytism_core::operation::{
    Event, ImportBatch, ImportLinks, Imported, Reply, Request, SaveRequest, Saved, Sink, Status,
};
use mytism_core::schema::Schema;
use mytism_store::View;

pub use apply::ArrivingEntry;
pub use behaviour::{Behaviour, Saving};
pub use context::Context;
pub use error::AppError;
use foundation::Foundation;
pub use foundation::Identity;
pub use journal::Visible;
use lane::{Lane, OnCommit, Work};

/// The inside of a node. Shared by all who ask; dropping the last one lets waiting work end.
pub struct App {
    foundation: Arc<Foundation>,
    lane: Lane,
}

impl App {
    /// Who this node is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.foundation.identity_now()
    }

    /// The schema that holds.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.foundation.schema()
    }

    /// A view of everything as the last commit left it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn view(&self) -> Result<Box<dyn View>, AppError> {
        Ok(self.foundation.store.view()?)
    }

    /// What happens from now on. Who reads too slowly loses the newest.
    #[must_use]
    pub fn watch(&self) -> Receiver<Event> {
        self.foundation.watchers.subscribe()
    }

    /// Tells the watchers something that did not come from a commit.
    pub fn tell(&self, event: &Event) {
        self.foundation.watchers.publish(std::slice::from_ref(event));
    }

    /// Sets who is told the end of the log after each commit; must not wait.
    pub fn on_commit(&self, listener: OnCommit) {
        self.foundation.on_commit(listener);
    }

    /// Asks a behaviour about each transaction that is made here from now on.
    pub fn add_behaviour(&self, behaviour: Arc<dyn Behaviour>) {
        self.foundation.add_behaviour(behaviour);
    }

    /// Lets waiting work be done and takes no more.
    pub fn stop(&self) {
        self.lane.stop();
    }

    /// Answers one request. Requests that are about the running node as a whole (watching, stopping, adding nodes) are
    /// for the server around this.
    ///
    /// # Errors
    /// The refusal or failure; nothing was changed then.
    pub fn call(&self, context: &Context, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        self.answer(context, request, sink).map_err(|error| error.failure())
    }

    fn answer(&self, context: &Context, request: Request, sink: &mut Sink<'_>) -> Result<(), AppError> {
        let schema = self.foundation.schema();
        // A closed sink is no failure: what was asked for is done, nobody wants to hear of it.
        let one = |sink: &mut Sink<'_>, reply| {
            let _closed = sink(reply);
        };
        match request {
            Request::Status => one(sink, Reply::Status(Box::new(self.status()?))),
            Request::Save(request) => one(sink, Reply::Saved(self.save(context, request)?)),
            Request::Query(request) => {
                let mut view = self.view()?;
                if let Some(at) = self.position(&*view, context, request.as_of.as_deref())? {
                    past::go_back(&mut *view, at)?;
                }
                let now = self.foundation.surroundings.now();
                reading::query(view.schema(), &*view, context, &request, now, sink)?;
            }
            Request::Live(request) => self.live(context, &request, sink)?,
            Request::Show { object, as_of } => {
                let mut view = self.view()?;
                let at = self.position(&*view, context, as_of.as_deref())?;
                if let Some(at) = at {
                    past::go_back_for(schema, &mut *view, object, at)?;
                }
                reading::show(schema, &*view, object, at, sink)?;
            }
            Request::History(request) => reading::history(schema, &*self.view()?, &request, sink)?,
            Request::Undo(request) => self.undo(context, &request, sink)?,
            Request::Import(batch) => one(sink, self.import(context, batch)?),
            Request::ImportLinks(links) => one(sink, self.import_links(context, links)?),
            Request::Nodes => reading::nodes(schema, &*self.view()?, sink)?,
            Request::Conflicts => reading::conflicts(schema, &*self.view()?, sink)?,
            Request::ResolveConflict { conflict, take_other } => {
                one(sink, Reply::Saved(self.resolve(context, conflict, take_other)?));
            }
            Request::Quarantine => quarantine::list(schema, &*self.view()?, false, sink)?,
            Request::Refusals => quarantine::list(schema, &*self.view()?, true, sink)?,
            Request::Refusal { number } => quarantine::show(schema, &*self.view()?, number, sink)?,
            Request::Settle(request) => one(sink, Reply::Saved(self.settle(context, &request)?)),
            Request::Changes(request) => self.changes(&request, sink)?,
            Request::Passed { follower, from, to } => one(sink, Reply::Reached(self.passed(&follower, from, to)?)),
            Request::Followers => self.list_followers(sink)?,
            Request::RemoveFollower { follower } => one(sink, Reply::Follower(self.remove_follower(&follower)?)),
            Request::NumberRanges => numbers::ranges(schema, &*self.view()?, &self.identity(), sink)?,
            Request::VoidNumbers { range } => {
                numbers::void(schema, &*self.view()?, &self.identity(), range.as_deref(), sink)?;
            }
            Request::SetNextNumber { range, next } => {
                one(sink, Reply::Saved(self.set_next_number(context, &range, next)?));
            }
            Request::Schema => one(sink, Reply::Schema { schema: self.stored_schema()? }),
            Request::ChangeSchema { schema, from, apply } => self.change_schema(context, &schema, from, apply, sink)?,
            Request::Recover { begin, without } => one(sink, self.recovery(begin, without)?),
            Request::Watch
            | Request::Stop
            | Request::AddNode { .. }
            | Request::RestLines { .. }
            | Request::Backup { .. }
            | Request::PutContent { .. }
            | Request::GetContent { .. }
            | Request::CheckSync => {
                return Err(needs_running_node().into());
            }
        }
        Ok(())
    }

    /// The position that is meant by what was asked for, if anything was.
    fn position(&self, view: &dyn View, context: &Context, as_of: Option<&str>) -> Result<Option<u64>, AppError> {
        let now = self.foundation.surroundings.now();
        as_of.map(|text| past::position(view, text, &context.zone, now)).transpose()
    }

    fn save(&self, context: &Context, request: SaveRequest) -> Result<Saved, AppError> {
        let context = context.clone();
        Ok(saved(self.commit(move |work| draft::requested(work, &context, &request))?))
    }

    fn import(&self, context: &Context, batch: ImportBatch) -> Result<Reply, AppError> {
        let context = context.clone();
        let (dry_run, run) = (batch.dry_run, batch.run);
        let rows = move |work: &mut Work<'_>| import::rows(work, &context, &batch);
        if dry_run {
            return Ok(Reply::Imported(prepare::practise(&self.foundation, rows)?));
        }
        let (saved, imported) = self.commit(rows)?;
        let run = run.or(saved.and_then(|saved| saved.transaction));
        Ok(Reply::Imported(Imported { run, ..imported }))
    }

    fn import_links(&self, context: &Context, links: ImportLinks) -> Result<Reply, AppError> {
        let context = context.clone();
        let (_, imported) = self.commit(move |work| import::links(work, &context, &links))?;
        Ok(Reply::Imported(imported))
    }

    /// Drafts and commits a transaction of this node.
    fn commit<T: Send + 'static>(&self, draft: impl prepare::Drafting<T>) -> Result<prepare::Done<T>, AppError> {
        prepare::commit(&self.foundation, &self.lane, draft)
    }

    /// How the node is, but for its lines to others.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn status(&self) -> Result<Status, AppError> {
        let view = self.view()?;
        let head = view.head()?;
        let schema = self.foundation.schema().def();
        let identity = self.identity();
        let (state, waits_for) = self.rule()?;
        Ok(Status {
            node: identity.name,
            role: if identity.authoritative { "authoritative" } else { "branch" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: format!("{} {}", schema.name, schema.version),
            epoch: head.map_or(1, |head| head.position.epoch),
            log_position: head.map_or(0, |head| head.position.number),
            log_hash: head.map(|head| head.hash.to_string()).unwrap_or_default(),
            pending: view.pending_count()?,
            objects: view.object_count()?,
            database_bytes: self.foundation.store.bytes(),
            conflicts: reading::open_conflicts(self.foundation.schema(), &*view)?,
            quarantine: quarantine::unsettled(self.foundation.schema(), &*view)?,
            since: None,
            sync: Vec::new(),
            state,
            waits_for,
            lines_rest: None,
            history_begin: history::begin(&*view)?,
            // Known to who has the vault.
            blobs: None,
            blob_bytes: None,
            blobs_wanted: None,
            // Known to who opened it.
            store: None,
        })
    }

    /// Decides on transactions that a branch offers, at the head office. Returns the counter of the last one, all up to
    /// which are now in the log.
    ///
    /// # Errors
    /// When the offer itself is wrong: foreign, damaged or forked transactions. Nothing of it was taken then. A
    /// transaction that is merely refused is no error.
    pub fn admit(&self, node: NodeId, offered: Vec<Vec<u8>>) -> Result<u64, AppError> {
        self.lane.execute(move |work| admit::transactions(work, node, &offered))
    }

    /// Applies entries of the authoritative log, at a branch. Returns the end of the log.
    ///
    /// # Errors
    /// When the entries do not continue the log that is here; none of them was taken then, or those before one that
    /// changes the schema.
    pub fn apply(&self, arriving: Vec<ArrivingEntry>) -> Result<Position, AppError> {
        let mut end = None;
        for run in apply::runs(apply::decode(arriving)?) {
            end = Some(self.apply_run(run)?);
        }
        end.map_or_else(|| Ok(self.foundation.published().state.position()), Ok)
    }

    fn apply_run(&self, run: Vec<apply::Decoded>) -> Result<Position, AppError> {
        if apply::is_schema(&run) {
            let end = self.lane.execute_alone(move |work| apply::arrived(work, &run, true))?;
            self.lay_again()?;
            return Ok(end);
        }
        let decoded = Arc::new(run);
        let again = Arc::clone(&decoded);
        match self.lane.execute(move |work| apply::arrived(work, &decoded, false)) {
            // What must be done alone.
            Err(AppError::Moved) => self.lane.execute_alone(move |work| apply::arrived(work, &again, true)),
            ended => ended,
        }
    }
}

/// What cannot be asked of a node that does not run.
#[must_use]
pub fn needs_running_node() -> Failure {
    Failure::unreachable("node-not-running", "this needs a running node").hint("start it with `./mytism start`")
}

/// The answer to a save; one that changed nothing made no transaction.
fn saved((saved, ids): prepare::Done<Vec<(String, ObjectId)>>) -> Saved {
    let unchanged = Saved { transaction: None, position: None, pending: false, ids: Vec::new() };
    Saved { ids, ..saved.unwrap_or(unchanged) }
}
