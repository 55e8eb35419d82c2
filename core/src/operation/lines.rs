//! The lines to other nodes as they are told of, and what a comparison over one found.

use crate::id::TransactionId;
use crate::time::Timestamp;

/// How the line to another node is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// `connected`, `connecting` or `stopped`.
    pub state: String,
    /// Transactions sent since the start.
    pub sent: u64,
    /// Transactions received since the start.
    pub received: u64,
    /// How many are still to be sent.
    pub pending: u64,
    /// From a commit at the head office until it is durable at the branch, in milliseconds, as last measured on a line
    /// that was up by then. The branch takes the difference of the clocks off; the head office measures by its own clock
    /// until the branch's word has arrived.
    pub lag_ms: Option<f64>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// The other way: from a save at the branch until it is durable at the head office, the difference of the clocks
    /// taken off.
    pub offer_lag_ms: Option<f64>,
    /// At a branch: entries of the head office's log that are not here yet.
    pub behind: Option<u64>,
    /// About how many milliseconds it takes until both are in step, at the pace of the last seconds.
    pub rest_ms: Option<f64>,
    /// When it was last connected; `None` where it never was, or nobody remembers.
    pub seen: Option<Timestamp>,
    /// The last transaction sent since the start.
    pub last_sent: Option<Moved>,
    /// The last transaction received since the start.
    pub last_received: Option<Moved>,
    /// Over what the line runs, or ran last: `quic`, `tls`. `None` where there was none yet, and from a node that does
    /// not say.
    pub transport: Option<String>,
}

/// What a comparison with another node found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Name of the other node; `None` where a head office checked itself.
    pub peer: Option<String>,
    /// Entries and objects that were compared.
    pub compared: u64,
    /// Those that were not here.
    pub missing: u64,
    /// Those that were here otherwise, or should not have been.
    pub different: u64,
    /// Those of them that are good now.
    pub repaired: u64,
}

/// A transaction that moved over a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Which.
    pub transaction: TransactionId,
    /// When.
    pub time: Timestamp,
}
