//! The forms in which the plain types are sent: private mirrors with serde, so that the plain types know nothing of it.
//!
//! A mirror borrows from the plain type on the way out and from the received bytes on the way in; texts and bytes are
//! copied once, into the message or into the plain type. Conversions check what they let in and name the field that is
//! wrong. A key is never used again for another field, a tag never for another variant.

mod common;
mod input;
mod mirror;
mod output;
pub(crate) mod peer;
pub(crate) mod reply;
pub(crate) mod request;
mod tables;

pub(crate) use mirror::{Flaw, Mirror};
#[cfg(test)]
pub(crate) use tables::{Field, Listed};
