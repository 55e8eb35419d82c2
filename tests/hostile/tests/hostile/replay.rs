//! The corpus: inputs that were found to be worth keeping, and sound ones.

use mytism_hostile::{TARGETS, pack};

#[test]
fn the_corpus_is_borne() {
    for target in TARGETS {
        let inputs = pack::load(target.name).unwrap();
        assert!(!inputs.is_empty(), "{} has no corpus: scripts/fuzz {} 60", target.name, target.name);
        for input in (target.seeds)().iter().chain(&inputs) {
            let said = (target.run)(input);
            assert_eq!(said, (target.run)(input), "{}: the same input is answered alike", target.name);
        }
    }
}

#[test]
fn packs_have_targets_and_are_small() {
    let folder = pack::path("x").parent().unwrap().to_owned();
    let mut bytes = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| name == format!("{}.pack", target.name)), "{name} belongs to no target");
        bytes += file.metadata().unwrap().len();
    }
    assert!(bytes < 1 << 20, "{bytes} bytes");
}
