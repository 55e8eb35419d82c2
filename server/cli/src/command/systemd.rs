//! Nodes that systemd runs: it starts a node anew that goes down by itself, so it is asked when one shall stay down.

use std::process::Command;

use mytism_core::failure::Failure;

use crate::node::Unit;

/// Has systemd do something with a unit: `stop` or `restart`. Returns when it is done.
///
/// # Errors
/// `systemd-refused`, with what systemd said, mostly since the user may not.
pub(crate) fn ask(verb: &str, unit: &Unit) -> Result<(), Failure> {
    run("systemctl", verb, unit)
}

fn run(program: &str, verb: &str, unit: &Unit) -> Result<(), Failure> {
    let manager: &[&str] = if unit.of_user { &["--user"] } else { &[] };
    let words: Vec<&str> = manager.iter().copied().chain(["--no-ask-password", verb, unit.name.as_str()]).collect();
    let typed = format!("systemctl {}", [manager, &[verb, unit.name.as_str()]].concat().join(" "));
    let refused = |why: String| {
        let message = format!("systemd runs this node as {} and did not {verb} it: {why}", unit.name);
        Failure::failed("systemd-refused", message).hint(format!("run `{typed}` as a user who may"))
    };
    let done = Command::new(program).args(words).output().map_err(|error| refused(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(refused(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn systemd_is_asked_and_its_refusal_told() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("systemctl");
        let asked = directory.path().join("asked");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >{}\n[ $# = 3 ] || {{ echo access denied >&2; exit 4; }}\n",
            asked.display()
        );
        // Written by another process: one of the test's own could be held open by a child of another test.
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("cat >{0} && chmod 755 {0}", program.display()));
        let mut made = shell.stdin(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut made.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(made.wait().unwrap().success());
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o111, 0o111);
        let program = program.to_str().unwrap();
        let unit = |of_user| Unit { name: "mytism.service".to_owned(), of_user };
        run(program, "stop", &unit(false)).unwrap();
        assert_eq!(fs::read_to_string(&asked).unwrap(), "--no-ask-password stop mytism.service\n");
        let failure = run(program, "restart", &unit(true)).unwrap_err();
        assert_eq!(fs::read_to_string(&asked).unwrap(), "--user --no-ask-password restart mytism.service\n");
        assert_eq!(failure.code, "systemd-refused");
        assert!(failure.message.ends_with("did not restart it: access denied"), "{}", failure.message);
        assert_eq!(failure.hint, "run `systemctl --user restart mytism.service` as a user who may");
        assert_eq!(run("/nowhere/systemctl", "stop", &unit(false)).unwrap_err().code, "systemd-refused");
    }
}
