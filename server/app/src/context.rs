//! On whose behalf something is done.

use jiff::tz::TimeZone;
use mytism_core::id::{ObjectId, system};

/// Who asks, and where times without a zone are meant.
#[derive(Clone, Debug)]
pub struct Context {
    /// The user.
    pub user: ObjectId,
    /// The zone of times that are given without one.
    pub zone: TimeZone,
}

impl Context {
    /// Commands on the node's own machine act as the administrator.
    #[must_use]
    pub fn local() -> Self {
        Self { user: system::USER_ADMIN, zone: TimeZone::system() }
    }

    /// The node's own work.
    #[must_use]
    pub fn system() -> Self {
        Self { user: system::USER_SYSTEM, zone: TimeZone::UTC }
    }
}
