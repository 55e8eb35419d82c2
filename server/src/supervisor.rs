//! What a service manager is told: that the node serves, how it is, that it goes down, and that it is still alive.
//!
//! systemd's protocol is a datagram of lines to the socket that `NOTIFY_SOCKET` names. Nothing here can fail the node: a
//! manager that does not listen is no reason not to serve.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The service manager of this process, where it has one.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// As the environment says. `environment` looks up a variable, `pid` is that of this process.
    pub(crate) fn new(environment: impl Fn(&str) -> Option<OsString>, pid: u32) -> Self {
        let number = |name: &str| environment(name)?.to_str()?.trim().parse::<u64>().ok();
        let mine = number("WATCHDOG_PID").is_none_or(|of| of == u64::from(pid));
        let period = number("WATCHDOG_USEC").filter(|micros| mine && *micros > 0).map(Duration::from_micros);
        let Some(address) = environment("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        match connect(&address) {
            Ok(socket) => Self { socket: Some(socket), watchdog: period },
            Err(error) => {
                tracing::warn!("the service manager cannot be told anything: {}: {error}", address.display());
                Self::default()
            }
        }
    }

    /// How often to call [`Self::alive`]; `None` where nobody waits for it.
    pub(crate) fn alive_every(&self) -> Option<Duration> {
        // Twice in the period, as the manager's own manual advises.
        self.watchdog.map(|period| period / 2)
    }

    /// The node serves.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}\nMAINPID={}", line(status), std::process::id()));
    }

    /// The node is still alive.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The node goes down.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=goes down");
    }

    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!("the service manager was not told: {error}");
        }
    }
}

/// A status is one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A name that begins with `@` is one without a file.
fn connect(address: &OsString) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(Path::new(address))?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn with(variables: &[(&str, &str)]) -> Supervisor {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Supervisor::new(find, 7)
    }

    #[test]
    fn a_real_socket_gets_what_systemd_expects() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor = with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        supervisor.ready("hamburg\nserves");
        assert_eq!(received(&manager), format!("READY=1\nSTATUS=hamburg serves\nMAINPID={}", std::process::id()));
        supervisor.alive();
        assert_eq!(received(&manager), "WATCHDOG=1");
        supervisor.stopping();
        assert_eq!(received(&manager), "STOPPING=1\nSTATUS=goes down");
        drop(manager);
        supervisor.stopping();
    }

    #[test]
    fn a_socket_without_a_file_works_too() {
        let name = format!("mytism-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        with(&[("NOTIFY_SOCKET", &format!("@{name}"))]).alive();
        assert_eq!(received(&manager), "WATCHDOG=1");
    }

    #[test]
    fn the_watchdog_is_fed_when_it_is_ours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let socket = ("NOTIFY_SOCKET", path.to_str().unwrap());
        let check = |more: &[(&str, &str)], expected: Option<u64>| {
            let supervisor = with(&[&[socket], more].concat());
            assert_eq!(supervisor.alive_every(), expected.map(Duration::from_millis), "{more:?}");
        };
        check(&[], None);
        check(&[("WATCHDOG_USEC", "3000000")], Some(1500));
        check(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")], Some(1500));
        check(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "8")], None);
        check(&[("WATCHDOG_USEC", "0")], None);
        check(&[("WATCHDOG_USEC", "soon")], None);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        for variables in [&[][..], &[("NOTIFY_SOCKET", "")], &[("NOTIFY_SOCKET", "/nowhere/at/all")]] {
            let supervisor = with(variables);
            supervisor.ready("x");
            supervisor.stopping();
            assert_eq!(supervisor.alive_every(), None);
        }
    }
}
