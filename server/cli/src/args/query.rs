//! What can be written behind `query`.

use clap::Args;

use super::pair;

#[derive(Args, Debug)]
pub(crate) struct Query {
    /// The query, for example 'from Customer a where a.City = $city'
    #[arg(value_name = "OQL")]
    pub(crate) text: String,
    /// The query is just a condition on objects of this entity
    #[arg(long, value_name = "ENTITY")]
    pub(crate) entity: Option<String>,
    /// Value of a $name in the query
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    /// As it was at a time or log position
    #[arg(long, value_name = "TIME|POSITION")]
    pub(crate) as_of: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// List deleted objects too
    #[arg(long)]
    pub(crate) deleted: bool,
    /// Tell how it would be answered: SQL, values, indexes
    #[arg(long)]
    pub(crate) explain: bool,
    /// Go on and tell what becomes of the answer until interrupted; needs a running node
    #[arg(long, conflicts_with_all = ["as_of", "explain"])]
    pub(crate) follow: bool,
}
