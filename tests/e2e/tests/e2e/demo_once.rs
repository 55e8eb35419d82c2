//! The demonstration shows itself.

use std::time::{Duration, Instant};

use mytism_testkit::Project;

/// How long it may take on a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(45);

#[test]
fn the_demonstration_ends_well() {
    let begun = Instant::now();
    let output = Project::empty("nobody").run(&["demo", "--once"], "").success();
    assert!(begun.elapsed() < DEADLINE, "it took {} s", begun.elapsed().as_secs());
    for name in ["hamburg", "berlin"] {
        assert!(output.stdout.contains(name), "nothing of {name}: {output}");
    }
}
