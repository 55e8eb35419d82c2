//! What a use case can end with: a store that fails, or a refusal that says why.

use mytism_core::failure::Failure;
use mytism_format::FormatError;
use mytism_store::StoreError;

/// The end of a use case that did not succeed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is refused, or was asked for wrongly.
    #[error("{0}")]
    Refused(Failure),
    /// What a preparation relied on has moved, so it is prepared again. Never leaves this crate.
    #[error("what the save relied on has changed meanwhile")]
    Moved,
    /// It can be prepared in the commit lane alone, and is. Never leaves this crate.
    #[error("this can be prepared in the commit lane alone")]
    LaneOnly,
}

impl AppError {
    /// Something went wrong.
    #[must_use]
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Failure::failed(code, message))
    }

    /// Something was refused.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Failure::refused(code, message))
    }

    /// Bytes that another node sent are not what they should be; the own database has nothing to do with it.
    #[must_use]
    pub(crate) fn arrived_damaged(code: &str, error: &FormatError) -> Self {
        Self::failed(code, format!("what arrived is damaged: {error}"))
    }

    /// For people and programs.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Store(error) => error.failure(),
            Self::Refused(failure) => failure.clone(),
            Self::Moved | Self::LaneOnly => Failure::failed("internal", self.to_string()),
        }
    }
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<FormatError> for AppError {
    fn from(error: FormatError) -> Self {
        match error {
            // What is stored was within the limits, so this is about what shall be stored.
            FormatError::TooLarge { .. } => Self::refused("too-large", error.to_string()),
            error => Self::Store(StoreError::Format(error)),
        }
    }
}
