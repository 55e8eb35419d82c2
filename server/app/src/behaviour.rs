//! Behaviour of objects, for programs that are built on this crate: a trait that is asked about each save.

use mytism_core::change::Change;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::Input;
use mytism_core::query;
use mytism_core::schema::Schema;
use mytism_format::object::ObjectState;
use mytism_store::{QueryOptions, QueryRow};

use crate::error::AppError;
use crate::lane::Work;

/// What a program adds to the saves of a node.
///
/// A save may be prepared more than once, so a behaviour must do nothing but look and refuse. It is asked on whatever
/// thread saves, by several at once.
pub trait Behaviour: Send + Sync {
    /// Asked about each transaction that is made at this node, after the schema's own rules held. What it looks at
    /// through `saving` counts as relied on: if any of it changes before the transaction is committed, it is asked again.
    ///
    /// # Errors
    /// The refusal, which is then the answer of the save.
    fn before_save(&self, saving: &mut Saving<'_, '_>) -> Result<(), Failure>;
}

/// A transaction that is about to be committed.
pub struct Saving<'w, 'v> {
    work: &'w mut Work<'v>,
    changes: &'w [Change],
}

impl<'w, 'v> Saving<'w, 'v> {
    pub(crate) const fn new(work: &'w mut Work<'v>, changes: &'w [Change]) -> Self {
        Self { work, changes }
    }

    /// Its changes, in the order in which they apply.
    #[must_use]
    pub const fn changes(&self) -> &[Change] {
        self.changes
    }

    /// The schema that holds.
    #[must_use]
    pub const fn schema(&self) -> &'v Schema {
        self.work.workspace.schema
    }

    /// An object as the transaction leaves it, without the elements of its sets; `None` where it never was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn object(&mut self, id: ObjectId) -> Result<Option<ObjectState>, Failure> {
        self.work.workspace.object(id).map(Option::<&ObjectState>::cloned).map_err(|error| error.failure())
    }

    /// The answer to a query before the transaction; what the transaction itself changes stands in [`Self::changes`].
    ///
    /// # Errors
    /// When the query is wrong or the database cannot be read.
    pub fn query(&mut self, text: &str, params: &[(String, Input)]) -> Result<Vec<QueryRow>, Failure> {
        self.rows(text, params).map_err(|error| error.failure())
    }

    fn rows(&mut self, text: &str, params: &[(String, Input)]) -> Result<Vec<QueryRow>, AppError> {
        let schema = self.schema();
        let parsed = query::parse(text, schema, params, &jiff::tz::TimeZone::UTC).map_err(Failure::from)?;
        let entities = parsed.entities(schema).into_iter().filter_map(|entity| schema.entity_by_id(entity));
        self.work.workspace.looked_at_entities(entities.flat_map(|entity| entity.concrete.iter().copied()));
        let mut rows = Vec::new();
        self.work.workspace.view()?.query(&parsed, QueryOptions::default(), &mut |row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }
}
