//! Head offices and branches as processes: what they are told by command lines, what they answer, what is on their
//! disks, and what is left of it when they are killed.
//!
//! 1. [`trade`]: the wholesaler that all tests work with
//! 2. [`real_input`]: a firm's data, a branch, an interrupted day
//! 3. [`cuts`]: lines and processes that end at any moment
//! 4. [`kills`]: many save at once, and their node is killed again and again
//! 5. [`life`]: starting and stopping, service managers, settings of a node that runs
//! 6. [`configuration`]: who a node is by its file and its database, secrets
//! 7. [`past`]: earlier states, and undoing
//! 8. [`numbers`]: numbers that are never given twice
//! 9. [`bad_places`]: disks that are full, databases that are damaged, ports that are taken
//! 10. [`conflict_and_refusal`]: both sides wanted different things
//! 11. [`following`]: what becomes visible, for programs that follow it
//! 12. [`command_line`]: what programs may rely on
//! 13. [`round_trip`]: what is exported can be imported
//! 14. [`files`]: files of other programs, whole or in part, of a million rows
//! 15. [`rehearsal`]: a dry run says what the import then does
//! 16. [`codes`]: every documented code of a failure is provoked
//! 17. [`rare`]: failures that need more than a wrong call
//! 18. [`documents`]: commands in the documentation exist
//! 19. [`demo_once`]: the demonstration
//! 20. [`going_back`]: databases that are put back
//! 21. [`joining`]: a branch joins while both ends are killed
//! 22. [`bad_lines`]: lines that lose, delay and cut off
//! 23. [`backups`]: backups under load, and restores that are killed
//! 24. [`contents`]: files in objects
//! 25. [`strangers`]: peers that mean no good
//! 26. [`sync_check`]: what was taken out or changed is found and mended
//! 27. [`schema_change`]: another schema while nodes run

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backups;
mod bad_lines;
mod bad_places;
mod codes;
mod command_line;
mod configuration;
mod conflict_and_refusal;
mod contents;
mod cuts;
mod demo_once;
mod documents;
mod files;
mod following;
mod going_back;
mod joining;
mod kills;
mod life;
mod numbers;
mod past;
mod postgres;
mod rare;
mod real_input;
mod rehearsal;
mod round_trip;
mod schema_change;
mod strangers;
mod sync_check;
mod sync_lines;
mod trade;
