//! The nodes of the cluster, as the head office keeps them: accounts of branches, their keys, the blocks of ids that
//! each may use.

use mytism_core::change::Slot;
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, NodeId, ObjectId};
use mytism_core::schema::Entity;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

use crate::App;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::output::find_node;
use crate::record::{self, About};
use crate::reign;

/// Who owns which block of ids. As bytes: block (i64) and node (u32), big-endian, one behind the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Blocks(Vec<(i64, NodeId)>);

impl Blocks {
    pub(crate) const KEY: &'static str = "blocks";

    /// Gives the next block of a reign, counted from 0, to a node. Blocks of an earlier one may have been given that
    /// nobody here knows of.
    pub(crate) fn give(&mut self, node: NodeId, reign: u32) -> Result<BlockId, AppError> {
        let first = if reign < BlockId::FORKS { BlockId::new(reign, BlockId::FIRST_ORDINARY) } else { None };
        let first = first.map(BlockId::get);
        let last =
            self.0.iter().map(|(block, _)| *block).filter(|block| first.is_some_and(|first| *block >= first)).max();
        let next = last.map_or(first, |last| Some(last + 1)).and_then(BlockId::from_number);
        let block = next.filter(|next| next.reign() == i64::from(reign));
        let block =
            block.ok_or_else(|| AppError::refused("out-of-ids", "the head office has no blocks of ids left"))?;
        self.0.push((block.get(), node));
        Ok(block)
    }

    /// To whom a block was given.
    pub(crate) fn owner(&self, block: BlockId) -> Option<NodeId> {
        self.0.iter().find(|(given, _)| *given == block.get()).map(|(_, node)| *node)
    }

    /// How many blocks a node has got.
    pub(crate) fn count(&self, node: NodeId) -> usize {
        self.0.iter().filter(|(_, owner)| *owner == node).count()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 12);
        for (block, node) in &self.0 {
            bytes.extend_from_slice(&block.to_be_bytes());
            bytes.extend_from_slice(&node.0.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let chunks = bytes.as_chunks::<12>().0.iter();
        let pair = |chunk: &[u8; 12]| {
            let (block, node) = chunk.split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*block), NodeId(u32::from_be_bytes(node.try_into().ok()?))))
        };
        Self(chunks.filter_map(pair).collect())
    }
}

/// What stands for the secrets of accounts that nobody has used yet. It is as good as the secrets, so it is kept at the
/// head office alone and is no part of any object. As bytes: node (u32 big-endian), 64 characters, one behind the other.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Accounts(Vec<(NodeId, String)>);

impl Accounts {
    pub(crate) const KEY: &'static str = "accounts";
    const TEXT: usize = 64;

    fn set(&mut self, node: NodeId, verifier: &str) {
        self.remove(node);
        self.0.push((node, verifier.to_owned()));
    }

    fn remove(&mut self, node: NodeId) {
        self.0.retain(|(other, _)| *other != node);
    }

    fn of(&self, node: NodeId) -> String {
        self.0.iter().find(|(other, _)| *other == node).map(|(_, verifier)| verifier.clone()).unwrap_or_default()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (node, verifier) in &self.0 {
            bytes.extend_from_slice(&node.0.to_be_bytes());
            bytes.extend_from_slice(format!("{verifier:0<width$.width$}", width = Self::TEXT).as_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let pair = |chunk: &[u8]| {
            let (node, verifier) = chunk.split_first_chunk::<4>()?;
            Some((NodeId(u32::from_be_bytes(*node)), String::from_utf8(verifier.to_vec()).ok()?))
        };
        Self(bytes.chunks_exact(4 + Self::TEXT).filter_map(pair).collect())
    }
}

impl std::fmt::Debug for Accounts {
    /// Whose accounts there are, without what stands for the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(node, _)| node)).finish()
    }
}

/// The account of a new branch, of which only the branch gets the secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Number of the branch.
    pub node: NodeId,
    /// Until when it may be used.
    pub valid_until: Timestamp,
}

/// What a branch gets when it joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolled {
    /// Its number.
    pub node: NodeId,
    /// Which life it begins.
    pub incarnation: u32,
    /// Ids that it may give out.
    pub blocks: Vec<BlockId>,
}

/// What the head office knows of a branch that knocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownNode {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its public key in hexadecimal digits; empty before it joined.
    pub public_key: String,
    /// The verifier of its enrolment secret in hexadecimal digits; empty once it was used, and where the node was looked
    /// up by its number.
    pub verifier: String,
    /// Until when that may be used.
    pub valid_until: Option<Timestamp>,
}

impl App {
    /// Makes a branch known, or gives one that has not joined a new account. `verifier` stands for the secret, which is
    /// not kept.
    ///
    /// # Errors
    /// When this is no head office, the name is taken, or the days are out of bounds (1 to 365).
    pub fn add_node(
        &self,
        context: &Context,
        name: &str,
        valid_days: u32,
        verifier: &str,
    ) -> Result<Account, AppError> {
        if !self.identity().authoritative {
            let failure = Failure::refused("not-authoritative", "only the head office makes branches known");
            return Err(failure.hint("run this at the head office").into());
        }
        if !(1..=365).contains(&valid_days) {
            return Err(Failure::usage("wrong-value", format!("{valid_days} days: 1 to 365 are possible")).into());
        }
        let (context, name, verifier) = (context.clone(), name.to_owned(), verifier.to_owned());
        self.lane.execute(move |work| add_node(work, &context, &name, valid_days, &verifier))
    }

    /// The node of that name, at the head office.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn known_node(&self, name: &str) -> Result<Option<KnownNode>, AppError> {
        let view = self.view()?;
        let entity = node_entity(self.schema())?;
        let Some(attribute) = entity.member("Name") else { return Ok(None) };
        let found = view.find(entity.id, attribute.id, &Value::from(name), 1)?;
        let Some(id) = found.first() else { return Ok(None) };
        let accounts = view.get(Accounts::KEY)?.map(|bytes| Accounts::from_bytes(&bytes)).unwrap_or_default();
        Ok(view.object(*id)?.map(|state| {
            let known = known(entity, &state);
            KnownNode { verifier: accounts.of(known.node), ..known }
        }))
    }

    /// The node of that number, at the head office.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn known_number(&self, node: NodeId) -> Result<Option<KnownNode>, AppError> {
        let entity = node_entity(self.schema())?;
        Ok(find_node(self.schema(), &*self.view()?, node)?.map(|state| known(entity, &state)))
    }

    /// Takes a branch in whose secret was proven: its key is pinned, its account is used up, ids are given to it. One
    /// that was taken in with the same key before, and broken off, is taken in again.
    ///
    /// # Errors
    /// When the node is not known, or was taken in with another key.
    pub fn enrol(&self, node: NodeId, public_key: &str) -> Result<Enrolled, AppError> {
        let public_key = public_key.to_owned();
        self.lane.execute(move |work| enrol(work, node, &public_key))
    }

    /// Notes the key of the head office whose place this node took, so that it may come as a branch. It told nobody its
    /// key itself: those who joined there took it from their account files. Does nothing where all keys are known.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn note_former_head_office(&self, public_key: &str) -> Result<(), AppError> {
        let public_key = public_key.to_owned();
        self.lane.execute(move |work| note_former(work, &public_key))
    }

    /// Gives a branch another block of ids.
    ///
    /// # Errors
    /// When none are left.
    pub fn give_block(&self, node: NodeId) -> Result<BlockId, AppError> {
        self.lane.execute(move |work| give_block(work, node))
    }

    /// A new life for a branch that is an older copy of itself, with ids that no life of it can have given.
    ///
    /// # Errors
    /// When none are left, or this is no head office.
    pub fn give_life(&self, node: NodeId) -> Result<(u32, BlockId), AppError> {
        self.lane.execute(move |work| {
            let block = give_block(work, node)?;
            Ok((next_life(work, node)?, block))
        })
    }

    /// Takes blocks of ids that the head office gave.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn take_blocks(&self, blocks: Vec<BlockId>) -> Result<(), AppError> {
        self.lane.execute(move |work| {
            work.foundation.reminders.settle("ids");
            let mut allotment = work.foundation.allotment();
            blocks.iter().for_each(|block| allotment.ids.add(*block));
            Ok(())
        })
    }

    /// How many ids for new objects a branch keeps in stock: `least`, or what it drew within the days of the policy where
    /// that is more.
    #[must_use]
    pub fn ids_wanted(&self, least: u64) -> u64 {
        let window = self.foundation.reminders.policy().id_window_micros();
        least.max(self.foundation.allotment().used.recent(self.foundation.surroundings.now(), window))
    }

    /// How many ids for new objects are left here.
    #[must_use]
    pub fn ids_left(&self) -> u64 {
        self.foundation.allotment().ids.left()
    }
}

pub(crate) fn node_entity(schema: &mytism_core::schema::Schema) -> Result<&Entity, AppError> {
    schema.entity("Node").ok_or_else(|| AppError::failed("incomplete-schema", "the schema lacks the entity Node"))
}

pub(crate) fn known(entity: &Entity, state: &ObjectState) -> KnownNode {
    let get = |name: &str| entity.member(name).map_or(Value::Null, |member| state.get(Slot::attribute(member.id)));
    let text = |name: &str| get(name).text().unwrap_or_default().to_owned();
    KnownNode {
        node: NodeId(get("Number").integer().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)),
        name: text("Name"),
        public_key: text("PublicKey"),
        verifier: String::new(),
        valid_until: match get("EnrolmentUntil") {
            Value::Datetime(time) => Some(time),
            _ => None,
        },
    }
}

fn add_node(
    work: &mut Work<'_>,
    context: &Context,
    name: &str,
    valid_days: u32,
    verifier: &str,
) -> Result<Account, AppError> {
    let entity = node_entity(work.workspace.schema)?;
    let now = work.now;
    let micros = i64::from(valid_days) * 86_400_000_000;
    let valid_until = Timestamp::saturating_from_micros(now.micros().saturating_add(micros));
    let name_attribute = attribute(entity, "Name")?;
    let there = work.workspace.holders(entity.id, name_attribute, &Value::from(name))?;
    let mut draft = Draft::new(work, context);
    let (id, node) = match there.first() {
        Some(id) => (*id, not_joined(&mut draft, entity, *id, name)?),
        None => {
            let node = next_number(draft.work, entity)?;
            let id = draft.make_object(entity)?;
            draft.record(id, entity.id, Slot::attribute(name_attribute), Value::from(name))?;
            set(&mut draft, entity, id, "Number", Value::Integer(i64::from(node.0)))?;
            set(&mut draft, entity, id, "Authoritative", Value::Bool(false))?;
            set(&mut draft, entity, id, "Joined", Value::Bool(false))?;
            (id, node)
        }
    };
    set(&mut draft, entity, id, "EnrolmentUntil", Value::Datetime(valid_until))?;
    let (changes, stamp) = draft.finish()?;
    work.state.accounts.set(node, verifier);
    let about = About { description: format!("Branch {name} made known"), ..About::default() };
    record::own(work, about, stamp, changes)?;
    Ok(Account { node, valid_until })
}

/// The number of a node that may get a new account, since it has not joined.
fn not_joined(draft: &mut Draft<'_, '_>, entity: &Entity, id: ObjectId, name: &str) -> Result<NodeId, AppError> {
    let state = draft.work.workspace.object(id)?.cloned();
    let known = state.map(|state| known(entity, &state)).filter(|known| known.public_key.is_empty());
    let known = known.filter(|known| known.node != draft.work.foundation.identity.node);
    known
        .map(|known| known.node)
        .ok_or_else(|| AppError::refused("node-exists", format!("there is a node {name} already, and it has joined")))
}

fn next_number(work: &mut Work<'_>, entity: &Entity) -> Result<NodeId, AppError> {
    let number = attribute(entity, "Number")?;
    let mut next = 1u32;
    // Numbers are never given again, so deleted nodes count too; a cluster has few of them.
    loop {
        let value = Value::Integer(i64::from(next));
        let taken = !work.workspace.holders(entity.id, number, &value)?.is_empty();
        let taken = taken || work.foundation.allotment().blocks.count(NodeId(next)) > 0;
        if !taken && work.workspace.view()?.last_incarnation(NodeId(next))? == 0 {
            return Ok(NodeId(next));
        }
        next += 1;
    }
}

fn enrol(work: &mut Work<'_>, node: NodeId, public_key: &str) -> Result<Enrolled, AppError> {
    let entity = node_entity(work.workspace.schema)?;
    let number = attribute(entity, "Number")?;
    let holders = work.workspace.holders(entity.id, number, &Value::Integer(i64::from(node.0)))?;
    let id = *holders.first().ok_or_else(|| AppError::refused("unknown-node", format!("there is no node {node}")))?;
    let pinned = work.workspace.slot(id, Slot::attribute(attribute(entity, "PublicKey")?))?;
    if !pinned.is_null() && pinned.text() != Some(public_key) {
        return Err(AppError::refused("wrong-account", format!("node {node} has joined with another key already")));
    }
    let block = give_block(work, node)?;
    let incarnation = next_life(work, node)?;
    let mut draft = Draft::new(work, &Context::system());
    set(&mut draft, entity, id, "PublicKey", Value::from(public_key))?;
    set(&mut draft, entity, id, "Joined", Value::Bool(true))?;
    set(&mut draft, entity, id, "EnrolmentUntil", Value::Null)?;
    let (changes, stamp) = draft.finish()?;
    work.state.accounts.remove(node);
    if !changes.is_empty() {
        let about = About { description: format!("Node {node} joined"), ..About::default() };
        record::own(work, about, stamp, changes)?;
    }
    Ok(Enrolled { node, incarnation, blocks: vec![block] })
}

fn note_former(work: &mut Work<'_>, public_key: &str) -> Result<(), AppError> {
    let entity = node_entity(work.workspace.schema)?;
    let (joined, key) = (attribute(entity, "Joined")?, attribute(entity, "PublicKey")?);
    let own = work.foundation.identity.node;
    let mut keyless = Vec::new();
    for id in work.workspace.holders(entity.id, joined, &Value::Bool(true))? {
        if work.workspace.slot(id, Slot::attribute(key))?.text() == Some(public_key) {
            return Ok(());
        }
        let state = work.workspace.object(id)?.cloned();
        let known = state.map(|state| known(entity, &state));
        keyless.extend(known.filter(|known| known.public_key.is_empty() && known.node != own).map(|_| id));
    }
    // Only the first head office never joined anywhere.
    let [former] = keyless.as_slice() else { return Ok(()) };
    let mut draft = Draft::new(work, &Context::system());
    set(&mut draft, entity, *former, "PublicKey", Value::from(public_key))?;
    let (changes, stamp) = draft.finish()?;
    let about = About { description: "The key of the former head office".to_owned(), ..About::default() };
    record::own(work, about, stamp, changes)?;
    Ok(())
}

/// A life that was broken off may have saved what never arrived here. Each life begins with a block of its own, so their
/// number tells lives apart that the log does not know.
fn next_life(work: &mut Work<'_>, node: NodeId) -> Result<u32, AppError> {
    let lives = u32::try_from(work.foundation.allotment().blocks.count(node)).unwrap_or(u32::MAX);
    Ok(work.workspace.view()?.last_incarnation(node)?.saturating_add(1).max(lives))
}

fn give_block(work: &mut Work<'_>, node: NodeId) -> Result<BlockId, AppError> {
    if !work.state.authoritative {
        return Err(AppError::refused("not-authoritative", "only the head office gives out ids"));
    }
    reign::check(&work.state)?;
    work.foundation.allotment().give(node)
}

pub(crate) fn attribute(entity: &Entity, name: &str) -> Result<mytism_core::id::AttributeId, AppError> {
    let member = entity.member(name);
    member.map(|member| member.id).ok_or_else(|| {
        AppError::failed("incomplete-schema", format!("the schema lacks the attribute {}.{name}", entity.name))
    })
}

fn set(draft: &mut Draft<'_, '_>, entity: &Entity, id: ObjectId, name: &str, value: Value) -> Result<(), AppError> {
    draft.record(id, entity.id, Slot::attribute(attribute(entity, name)?), value)
}
