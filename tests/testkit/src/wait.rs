//! Waiting for something to become true, never for time to pass.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::Project;

/// How long tests wait for what normally takes a moment. Much, since other tests run at the same time, and since a node
/// may notice only after 20 s that its peer was killed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until a condition holds; fails after the deadline, saying what was waited for.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "waited {} s in vain until {what}", deadline.as_secs_f32());
        std::thread::sleep(PAUSE);
    }
}

/// Waits until branches know the whole log of their head office and nothing of theirs waits; all nodes must run.
#[track_caller]
pub fn wait_until_in_step(head: &Project, branches: &[&Project]) {
    let end = Instant::now() + PATIENCE;
    for branch in branches {
        loop {
            let (ours, theirs) = (head.status(), branch.status());
            if is_in_step(&ours, &theirs) {
                break;
            }
            assert!(Instant::now() < end, "waited in vain until in step\n{ours}\n{theirs}");
            std::thread::sleep(PAUSE);
        }
    }
}

fn is_in_step(head: &Json, branch: &Json) -> bool {
    let same = |name: &str| head[name] == branch[name];
    branch["pending"] == 0 && same("log_position") && same("log_hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_it_holds() {
        let mut looks = 0;
        wait_until("three looks are done", PATIENCE, || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    #[should_panic(expected = "in vain until pigs fly")]
    fn it_gives_up() {
        wait_until("pigs fly", Duration::from_millis(1), || false);
    }

    #[test]
    fn in_step_is_the_same_log_and_nothing_waiting() {
        let status = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        let check = |branch: &str, expected: bool| {
            let head = status(r#"{"log_position":5,"log_hash":"ab","pending":0}"#);
            assert_eq!(is_in_step(&head, &status(branch)), expected, "{branch}");
        };
        check(r#"{"log_position":5,"log_hash":"ab","pending":0}"#, true);
        check(r#"{"log_position":5,"log_hash":"ab","pending":1}"#, false);
        check(r#"{"log_position":4,"log_hash":"ab","pending":0}"#, false);
        check(r#"{"log_position":5,"log_hash":"cd","pending":0}"#, false);
    }
}
