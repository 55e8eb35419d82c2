//! What must hold of a cluster, said a second time: a model of a few hundred lines that shares only the reading of bytes
//! with the product.
//!
//! 1. [`model`]: what a node must show, worked out anew from its log and its pending transactions
//! 2. [`reader`]: what somebody knows who reads the journal of a node
//! 3. [`verdict`]: each decision of the head office, made again
//! 4. [`account`]: what was told to users, and where it is
//! 5. [`parted`]: whose history went another way

pub mod account;
pub mod model;
pub mod parted;
pub mod reader;
pub mod verdict;
