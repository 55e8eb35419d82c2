//! The plain engine doing the work of a node, to measure against.
