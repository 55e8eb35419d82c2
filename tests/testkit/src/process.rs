//! A command from its start to its end, with a limit: a test that hangs says which command did.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::Output;

/// No command may take longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a command with that on its standard input.
#[track_caller]
pub(crate) fn run(mut command: Command, stdin: &str) -> Output {
    let call = call(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{call}`: {error}"));
    if let Some(mut pipe) = child.stdin.take() {
        let stdin = stdin.to_owned();
        // Whoever does not read it to the end has its reasons, and says them.
        std::thread::spawn(move || drop(pipe.write_all(stdin.as_bytes())));
    }
    let outputs = [child.stdout.take().map(collect), child.stderr.take().map(collect)];
    let end = Instant::now() + DEADLINE;
    let [stdout, stderr] = outputs.map(|output| {
        let received = output.map(|text| text.recv_timeout(end.saturating_duration_since(Instant::now())));
        received.and_then(Result::ok).unwrap_or_else(|| {
            let _killed = child.kill();
            panic!("`{call}` has not ended within {} s, or something holds its output open", DEADLINE.as_secs())
        })
    });
    let status = child.wait().unwrap_or_else(|error| panic!("cannot wait for `{call}`: {error}"));
    Output { call, status: status.code(), stdout, stderr }
}

/// All that comes out of a pipe until nobody holds it open any longer.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.read_to_end(&mut bytes);
        // Nobody waits any longer after the limit.
        let _late = read.map(|_| send.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receive
}

/// The call as one would type it.
pub(crate) fn call(command: &Command) -> String {
    let words = std::iter::once("mytism".into()).chain(command.get_args().map(|word| word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}
