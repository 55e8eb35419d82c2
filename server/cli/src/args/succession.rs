//! What can be written behind `recover`, `promote` and `follow`.

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// This database was put back from a backup, and nothing has noticed it: wait for the branches
    #[arg(long)]
    pub(crate) begin: bool,
    /// Go on without this branch; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) without: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Promote {
    /// Without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Follow {
    /// Where the head office is reached: host or host:port, several with commas between them
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,
    /// Its public key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// Without asking
    #[arg(long)]
    pub(crate) yes: bool,
}
