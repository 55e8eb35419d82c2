//! A database that is put back on purpose: it is noted in it before anybody works with it, so that nothing depends on
//! somebody noticing.

use mytism_core::id::Hash;

use crate::App;
use crate::error::AppError;
use crate::{history, life};

impl App {
    /// Notes that this database was put back from a backup. A head office waits for its branches, then a new reign
    /// begins; where there are none it begins at once, above `epoch`, in which the log may have ended that was here. A
    /// branch gives no id and no number of its present life any longer, and asks for a new life at its next contact.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_back(&self, epoch: u32) -> Result<(), AppError> {
        if !self.identity().authoritative {
            return self.drop_ids();
        }
        self.begin_recovery(None)?;
        let present = self.view()?.head()?.map_or(0, |head| head.position.epoch);
        if !self.is_recovering() && self.deposed_since().is_none() && present <= epoch {
            self.new_reign(epoch.saturating_add(1))?;
        }
        Ok(())
    }

    /// Lets a branch give up the ids and leases that it holds, and ask for a new life with new ones.
    ///
    /// # Errors
    /// When this is the head office, or the database cannot be written.
    pub fn drop_ids(&self) -> Result<(), AppError> {
        self.lane.execute_alone(|work| {
            if work.state.authoritative {
                return Err(AppError::refused("not-a-branch", "the head office gives ids to itself"));
            }
            work.workspace.write(life::want());
            work.foundation.allotment().ids.only(&[]);
            life::give_up_numbers(work);
            Ok(())
        })
    }

    /// The name of the cluster: the hash of the first entry of its log.
    ///
    /// # Errors
    /// When the database cannot be read, or holds no log.
    pub fn cluster(&self) -> Result<Hash, AppError> {
        history::cluster(&*self.view()?)
    }
}
