//! The use cases of a node on a real store: saves and refusals at one node, then a head office and a branch that hand
//! each other their transactions without a network.

mod one_node;
mod two_nodes;
mod world;
