//! Whether a head office decides.
//!
//! A head office that was restored from a backup lacks what its branches have seen since. It **recovers**: it saves
//! nothing and decides on nothing before each branch that has joined has told what it has, or an administrator named
//! those to go without. Then a new **reign** begins: an entry with a higher epoch, from which branches see that what
//! they have above it is history no more, and a new life of the head office itself, since names and ids of the lost part
//! were used.
//!
//! A head office whose branches know a later reign that goes another way was **deposed**: another node was made the head
//! office meanwhile. It decides no more.

mod succession;

use std::collections::BTreeSet;
use std::sync::PoisonError;

use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, Position};
use mytism_core::operation::Reply;
use mytism_core::value::Value;
use mytism_store::{View, Write};

use crate::App;
use crate::apply::{self, ArrivingEntry};
use crate::cluster;
use crate::context::Context;
use crate::error::AppError;
use crate::foundation::Foundation;
use crate::lane::{State, Work};
use crate::life;
use crate::record::{self, About};

/// Nodes in a cluster at most, for looking all of them up.
const NODES_MAX: u32 = 100_000;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Rule {
    /// It decides. Branches are here too.
    #[default]
    Ruling,
    /// It waits; these have told what they have.
    Recovering(BTreeSet<NodeId>),
    /// Another node reigns since this epoch.
    Deposed(u32),
}

impl Rule {
    const KEY: &'static str = "rule";

    /// As the database keeps it. Who has answered is asked anew after a restart.
    pub(crate) fn stored(view: &dyn View) -> Result<Self, AppError> {
        let Some(bytes) = view.get(Self::KEY)? else { return Ok(Self::Ruling) };
        let text = String::from_utf8_lossy(&bytes);
        Ok(match text.split_once(' ') {
            Some(("deposed", epoch)) => Self::Deposed(epoch.parse().unwrap_or(u32::MAX)),
            _ if text == "recovering" => Self::Recovering(BTreeSet::new()),
            _ => Self::Ruling,
        })
    }

    pub(crate) fn write(&self) -> Write {
        let text = match self {
            Self::Ruling => "ruling".to_owned(),
            Self::Recovering(_) => "recovering".to_owned(),
            Self::Deposed(epoch) => format!("deposed {epoch}"),
        };
        Write::Put { key: Self::KEY, value: text.into_bytes() }
    }
}

/// Whether this node may save and decide.
pub(crate) fn check(state: &State) -> Result<(), AppError> {
    let (code, message, hint) = match state.rule {
        Rule::Ruling => return Ok(()),
        Rule::Recovering(_) => (
            "recovering",
            "this head office was restored and waits for what its branches have; nothing was saved".to_owned(),
            "`./mytism recover` tells which are missing, and goes on without those that are named",
        ),
        Rule::Deposed(epoch) => (
            "deposed",
            format!("another node is the head office since reign {epoch}; nothing was saved"),
            "make this node a branch of it: `./mytism follow ADDRESS KEY`, as `promote` printed it there",
        ),
    };
    Err(Failure::refused(code, message).hint(hint).into())
}

impl App {
    /// Whether this head office was restored and waits for its branches.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        matches!(self.foundation.published().state.rule, Rule::Recovering(_))
    }

    /// Since which reign another node is the head office, where this one knows that it was replaced.
    #[must_use]
    pub fn deposed_since(&self) -> Option<u32> {
        match self.foundation.published().state.rule {
            Rule::Deposed(epoch) => Some(epoch),
            Rule::Ruling | Rule::Recovering(_) => None,
        }
    }

    /// Waits for the branches from now on, since this database was restored; for `ahead` too, which has what is lost
    /// here, though all that it had was here when it came before. Where that is known already, nothing
    /// happens; without branches the new reign begins at once.
    ///
    /// # Errors
    /// When this is no head office, or the database cannot be written.
    pub fn begin_recovery(&self, ahead: Option<NodeId>) -> Result<(), AppError> {
        self.lane.execute_alone(move |work| {
            if !work.state.authoritative {
                return Err(AppError::refused("not-authoritative", "only a head office waits for its branches"));
            }
            if work.state.rule != Rule::Ruling {
                return Ok(());
            }
            // Those have got nothing since but what is here.
            let mut met = work.foundation.met.lock().unwrap_or_else(PoisonError::into_inner).clone();
            met.retain(|node| Some(*node) != ahead);
            work.state.rule = Rule::Recovering(met);
            let text = "this head office was restored: it saves nothing until its branches have told what they have";
            warn(work, text.to_owned());
            go_on_when_complete(work)
        })
    }

    /// All that a branch has was here when it came.
    pub fn note_met(&self, node: NodeId) {
        self.foundation.met.lock().unwrap_or_else(PoisonError::into_inner).insert(node);
    }

    /// A branch has told all that it has. `differs` where its log goes another way, `epoch` being the reign in which it
    /// ends. The last one that was missing ends the recovery.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn note_answer(&self, node: NodeId, differs: bool, epoch: u32) -> Result<(), AppError> {
        self.lane.execute_alone(move |work| {
            if !work.state.authoritative || matches!(work.state.rule, Rule::Deposed(_)) {
                return Ok(());
            }
            if differs && epoch > work.state.position().epoch {
                work.state.rule = Rule::Deposed(epoch);
                warn(work, format!("another node is the head office since reign {epoch}: this one decides no more"));
                return Ok(());
            }
            if let Rule::Recovering(answered) = &mut work.state.rule {
                answered.insert(node);
                return go_on_when_complete(work);
            }
            Ok(())
        })
    }

    /// Goes on without branches that have not told what they have; what they alone have comes back when they do. Returns
    /// the names of those that are still missing.
    ///
    /// # Errors
    /// When there is no recovery, or no branch of such a name is missing; nothing was changed then.
    pub fn go_without(&self, names: Vec<String>) -> Result<Vec<String>, AppError> {
        self.lane.execute_alone(move |work| {
            let missing = missing(work.foundation, work.workspace.view()?, &work.state.rule)?;
            let Rule::Recovering(answered) = &mut work.state.rule else {
                let failure = Failure::refused("not-recovering", "this node does not wait for anybody");
                return Err(failure.into());
            };
            for name in &names {
                let Some((node, _)) = missing.iter().find(|(_, known)| known == name) else {
                    let message = format!("no branch {name} is waited for");
                    return Err(AppError::refused("unknown-node", message));
                };
                answered.insert(*node);
            }
            go_on_when_complete(work)?;
            Ok(missing.into_iter().map(|(_, name)| name).filter(|name| !names.contains(name)).collect())
        })
    }

    /// Answers who asks about a recovery, after doing what he asks for.
    ///
    /// # Errors
    /// When the node was deposed, or does not wait for those that it shall go on without.
    pub(crate) fn recovery(&self, begin: bool, without: Vec<String>) -> Result<Reply, AppError> {
        let published = self.foundation.published();
        if matches!(published.state.rule, Rule::Deposed(_)) {
            check(&published.state)?;
        }
        if begin {
            self.begin_recovery(None)?;
        }
        if !without.is_empty() {
            self.go_without(without)?;
        }
        let published = self.foundation.published();
        let waits = matches!(published.state.rule, Rule::Recovering(_));
        Ok(Reply::Recovery { waits, missing: self.missing_answers()?, epoch: published.state.position().epoch })
    }

    /// For a status: in which state a head office is, and whom it waits for; nothing at a branch.
    pub(crate) fn rule(&self) -> Result<(Option<String>, Option<Vec<String>>), AppError> {
        let published = self.foundation.published();
        Ok(match &published.state.rule {
            _ if !published.state.authoritative => (None, None),
            Rule::Ruling => (Some("ruling".to_owned()), None),
            Rule::Recovering(_) => (Some("recovering".to_owned()), Some(self.missing_answers()?)),
            Rule::Deposed(_) => (Some("deposed".to_owned()), None),
        })
    }

    /// The names of the branches that a recovery waits for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn missing_answers(&self) -> Result<Vec<String>, AppError> {
        let published = self.foundation.published();
        let missing = missing(&self.foundation, &*self.view()?, &published.state.rule)?;
        Ok(missing.into_iter().map(|(_, name)| name).collect())
    }

    /// Takes entries back that were lost here. Returns the end of the log.
    ///
    /// # Errors
    /// When there is no recovery, or the entries do not continue the log. Nothing of them was taken then.
    pub fn take_back(&self, arriving: Vec<ArrivingEntry>) -> Result<Position, AppError> {
        let mut end = self.foundation.published().state.position();
        for run in apply::runs(apply::decode(arriving)?) {
            end = self.lane.execute_alone(move |work| {
                if !matches!(work.state.rule, Rule::Recovering(_)) {
                    return Err(AppError::refused("not-recovering", "this node has lost nothing, as far as it knows"));
                }
                apply::entries(work, &run, true)
            })?;
        }
        Ok(end)
    }

    /// Begins a new reign at the head office. Returns its first entry.
    ///
    /// # Errors
    /// When this is no head office or the epoch is not above the present one.
    pub fn new_reign(&self, epoch: u32) -> Result<Position, AppError> {
        self.lane.execute_alone(move |work| {
            if !work.state.authoritative || epoch <= work.state.position().epoch {
                return Err(AppError::refused("not-authoritative", "only a head office begins a later reign"));
            }
            begin(work, epoch)?;
            Ok(work.state.position())
        })
    }
}

/// The branches that have not told what they have.
fn missing(foundation: &Foundation, view: &dyn View, rule: &Rule) -> Result<Vec<(NodeId, String)>, AppError> {
    let Rule::Recovering(answered) = rule else { return Ok(Vec::new()) };
    let entity = cluster::node_entity(foundation.schema())?;
    let Some(joined) = entity.member("Joined") else { return Ok(Vec::new()) };
    let mut missing = Vec::new();
    for id in view.find(entity.id, joined.id, &Value::Bool(true), NODES_MAX)? {
        let Some(state) = view.object(id)? else { continue };
        let known = cluster::known(entity, &state);
        if known.node != foundation.identity.node && !answered.contains(&known.node) {
            missing.push((known.node, known.name));
        }
    }
    Ok(missing)
}

fn go_on_when_complete(work: &mut Work<'_>) -> Result<(), AppError> {
    if missing(work.foundation, work.workspace.view()?, &work.state.rule)?.is_empty() {
        begin(work, work.state.position().epoch + 1)?;
        warn(work, format!("reign {} begins: this head office decides again", work.state.position().epoch));
    }
    Ok(())
}

/// Begins a reign: a new life, with ids that nobody can have given, and the entry that tells the branches.
pub(crate) fn begin(work: &mut Work<'_>, epoch: u32) -> Result<(), AppError> {
    work.state.rule = Rule::Ruling;
    // Another reign that began on a copy of this database, and was lost since, must not have had the same life.
    let passed = epoch.saturating_sub(work.state.position().epoch).max(1);
    let known = work.workspace.view()?.last_incarnation(work.foundation.identity.node)?.max(work.state.incarnation);
    life::begin(work, known.saturating_add(passed))?;
    life::give_up_numbers(work);
    {
        let mut allotment = work.foundation.allotment();
        allotment.begin_reign(epoch);
        let block = allotment.give(work.foundation.identity.node)?;
        allotment.ids.only(&[block]);
    }
    work.state.epoch = epoch;
    let stamp = work.stamp(&Context::system());
    let about = About { description: format!("Reign {epoch} begins"), ..About::default() };
    record::own(work, about, stamp, Vec::new())?;
    Ok(())
}

fn warn(work: &Work<'_>, text: String) {
    work.foundation.warn_once("reign", text);
}
