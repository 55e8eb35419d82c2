//! How a node comes to life: a new head office with its first entries, or what the database says.

use std::sync::Arc;

use mytism_core::change::{Change, Life, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, EntityId, NodeId, ObjectId, system};
use mytism_core::schema::{Member, Schema};
use mytism_core::value::Value;
use mytism_format::map::{MapReader, MapWriter};
use mytism_store::{Store, View, Write};

use crate::App;
use crate::allotment::Allotment;
use crate::clock::ClockOffset;
use crate::cluster::{Accounts, Blocks};
use crate::constraint;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::follower::Followers;
use crate::foundation::{Foundation, Identity, Who};
use crate::ids::Ids;
use crate::lane::{Lane, Places, State, Work};
use crate::life;
use crate::numbers::{self, Standings, Use};
use crate::record::{self, About};
use crate::reign::Rule;
use crate::surroundings::Surroundings;

const IDENTITY: &str = "identity";

impl App {
    /// Makes the head office of a new cluster on an empty store: the schema is the first entry of its log, the users,
    /// groups and nodes that every cluster has are the second. All of it becomes durable at once, or nothing.
    ///
    /// # Errors
    /// When the store cannot be written or the schema lacks a system entity.
    pub fn create_head_office(
        store: Arc<dyn Store>,
        schema: Arc<Schema>,
        surroundings: Arc<dyn Surroundings>,
        name: &str,
    ) -> Result<Self, AppError> {
        let who = Who { name: name.to_owned(), node: NodeId(1) };
        let state = State {
            incarnation: 1,
            authoritative: true,
            places: Places::of(None),
            numbers: Standings::default(),
            epoch: 1,
            rule: Rule::Ruling,
            head: None,
            counter: 0,
            journal: 0,
            followers: Followers::default(),
            accounts: Accounts::default(),
        };
        let app = Self::start(store, schema, surroundings, who, Allotment::default(), state)?;
        app.lane.execute(first_entries)?;
        Ok(app)
    }

    /// Opens the node that a store holds.
    ///
    /// # Errors
    /// When the store cannot be read, or was never brought to life as a whole.
    pub fn open(
        store: Arc<dyn Store>,
        schema: Arc<Schema>,
        surroundings: Arc<dyn Surroundings>,
    ) -> Result<Self, AppError> {
        let view = store.view()?;
        let Identity { name, node, incarnation, authoritative } = identity(&*view)?;
        let head = view.head()?;
        let state = State {
            incarnation,
            authoritative,
            epoch: head.map_or(1, |head| head.position.epoch),
            rule: Rule::stored(&*view)?,
            places: Places::of(view.pending_ends()?),
            numbers: Standings::default(),
            head,
            counter: view.last_counter(node, incarnation)?,
            journal: view.journal_bounds()?.1,
            followers: Followers::stored(&*view)?,
            accounts: view.get(Accounts::KEY)?.map(|bytes| Accounts::from_bytes(&bytes)).unwrap_or_default(),
        };
        let allotment = Allotment {
            ids: view.get(Ids::KEY)?.map(|bytes| Ids::from_bytes(&bytes)).unwrap_or_default(),
            blocks: view.get(Blocks::KEY)?.map(|bytes| Blocks::from_bytes(&bytes)).unwrap_or_default(),
            reign: state.epoch.saturating_sub(1),
            used: view.get(Use::KEY)?.map(|bytes| Use::from_bytes(&bytes)).unwrap_or_default(),
        };
        drop(view);
        let app = Self::start(store, schema, surroundings, Who { name, node }, allotment, state)?;
        app.lay_again()?;
        Ok(app)
    }

    fn start(
        store: Arc<dyn Store>,
        schema: Arc<Schema>,
        surroundings: Arc<dyn Surroundings>,
        who: Who,
        allotment: Allotment,
        state: State,
    ) -> Result<Self, AppError> {
        let mut allotment = allotment;
        let opened = numbers::open(&*store, &*surroundings, who.node, &mut allotment.ids)?;
        if opened.was_missing && state.counter > 0 && !state.authoritative {
            store.commit(&vec![life::want()])?;
        }
        let state = State { numbers: opened.standings, ..state };
        let clock = ClockOffset::stored(&*store.view()?)?;
        let foundation = Foundation::new(store, schema, surroundings, who, allotment, clock, state.clone());
        *foundation.reminders.noted() = opened.noted;
        let foundation = Arc::new(foundation);
        opened.warnings.into_iter().for_each(|(matter, text)| foundation.warn_once(&matter, text));
        let lane = Lane::start(Arc::clone(&foundation), state)?;
        Ok(Self { foundation, lane })
    }
}

/// The store has its tables, but nobody ever said whose it is.
fn unfinished() -> AppError {
    let message = "the database was never filled: an init or a join was broken off";
    let hint = "run that `./mytism init` or `./mytism join` again; nothing was saved yet";
    Failure::failed("unfinished-database", message).hint(hint).into()
}

/// What makes a store that of a branch, written last when it is filled.
pub(crate) fn branch_writes(identity: &Identity, blocks: &[BlockId]) -> Vec<Write> {
    let mut ids = Ids::default();
    blocks.iter().for_each(|block| ids.add(*block));
    vec![put_identity(identity), Write::Put { key: Ids::KEY, value: ids.to_bytes() }]
}

pub(crate) fn put_identity(identity: &Identity) -> Write {
    let value = MapWriter::new(4)
        .text("name", &identity.name)
        .unsigned("node", u64::from(identity.node.0))
        .unsigned("incarnation", u64::from(identity.incarnation))
        .boolean("authoritative", identity.authoritative)
        .finish();
    Write::Put { key: IDENTITY, value }
}

/// Whose a database is, as it says.
///
/// # Errors
/// When it was never brought to life as a whole.
pub(crate) fn identity(view: &dyn View) -> Result<Identity, AppError> {
    match view.get(IDENTITY)? {
        Some(bytes) => read_identity(&bytes),
        None => Err(unfinished()),
    }
}

fn read_identity(bytes: &[u8]) -> Result<Identity, AppError> {
    let fields = MapReader::new("the identity of the node", bytes)?;
    Ok(Identity {
        name: fields.text("name")?.to_owned(),
        node: NodeId(fields.number("node")?),
        incarnation: fields.number("incarnation")?,
        authoritative: fields.boolean("authoritative")?,
    })
}

fn first_entries(work: &mut Work<'_>) -> Result<(), AppError> {
    first_ids(work.foundation)?;
    work.workspace.write(put_identity(&work.state.identity(&work.foundation.identity)));
    let context = Context::system();
    let about =
        About { description: "The schema".to_owned(), run: None, schema: Some(work.workspace.schema.def().clone()) };
    let stamp = Draft::new(work, &context).finish()?.1;
    record::own(work, about, stamp, Vec::new())?;
    let name = work.foundation.identity.name.clone();
    let number = Value::Integer(i64::from(work.foundation.identity.node.0));
    let objects = [
        (system::USER_SYSTEM, "User", vec![("Name", "System".into()), ("LoginDenied", Value::Bool(true))]),
        (system::USER_ADMIN, "User", vec![("Name", "Admin".into()), ("FullName", "Administrator".into())]),
        (system::GROUP_ADMINS, "Group", vec![("Name", "Admins".into())]),
        (system::GROUP_USERS, "Group", vec![("Name", "Users".into())]),
        (
            system::NODE_HEAD_OFFICE,
            "Node",
            vec![
                ("Name", Value::Text(name)),
                ("Number", number),
                ("Authoritative", Value::Bool(true)),
                ("Joined", Value::Bool(true)),
            ],
        ),
    ];
    let mut changes = Vec::new();
    for (id, entity, values) in objects {
        changes.extend(first_object(work, id, entity, &values)?);
    }
    changes.extend(first_member(work)?);
    let number = Some(work.state.position().number + 1);
    for change in &changes {
        work.workspace.apply(change, stamp, number)?;
    }
    constraint::check(&mut work.workspace, &changes)?;
    let about = About { description: "The first users, groups and node".to_owned(), ..About::default() };
    record::own(work, about, stamp, changes)?;
    Ok(())
}

/// The first block of ids goes to the head office itself.
fn first_ids(foundation: &Foundation) -> Result<(), AppError> {
    let mut allotment = foundation.allotment();
    let block = allotment.give(foundation.identity.node)?;
    allotment.ids.add(block);
    Ok(())
}

fn first_object(
    work: &Work<'_>,
    id: ObjectId,
    entity: &str,
    values: &[(&str, Value)],
) -> Result<Vec<Change>, AppError> {
    let entity = system_entity(work, entity)?;
    let change = |slot, new| Change { object: id, entity: entity.id, slot, old: Value::Null, new };
    if let Some((name, _)) = values.iter().find(|(name, _)| entity.member(name).is_none()) {
        return Err(missing(&format!("{}.{name}", entity.name)));
    }
    let value = |member: &Member| {
        let given = values.iter().find(|(name, _)| *name == member.name);
        given.map_or_else(|| member.default.clone(), |(_, value)| value.clone())
    };
    let columns = entity.columns().map(|member| change(Slot::attribute(member.id), value(member)));
    let life = std::iter::once(change(Slot::LIFE, Life::Alive.value()));
    Ok(life.chain(columns.filter(|change| !change.new.is_null())).collect())
}

/// `Admin` is a member of `Admins`.
fn first_member(work: &Work<'_>) -> Result<Option<Change>, AppError> {
    let group = system_entity(work, "Group")?;
    let (id, members): (EntityId, _) = (group.id, group.member("Members"));
    let members = members.ok_or_else(|| missing("Group.Members"))?;
    let slot = Slot::element(members.id, system::USER_ADMIN);
    Ok(Some(Change { object: system::GROUP_ADMINS, entity: id, slot, old: Value::Null, new: Value::Bool(true) }))
}

fn system_entity<'v>(work: &Work<'v>, name: &str) -> Result<&'v mytism_core::schema::Entity, AppError> {
    work.workspace.schema.entity(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> AppError {
    AppError::failed("incomplete-schema", format!("the schema lacks {name}, which every cluster needs"))
}
