//! Where the server is, and how many connections are kept to it.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::StoreError;

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// After how long without an answer on the line it counts as broken.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A database of a server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    config: Config,
    pool: PoolOptions,
}

/// The connections that are kept for reading. One more is kept for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolOptions {
    /// So many at once.
    pub maximum: u32,
    /// So many idle ones are kept at least.
    pub minimum_idle: u32,
    /// How long to wait for one, and for a server that restarts.
    pub patience: Duration,
    /// How long an idle one is kept; `None` = for ever.
    pub idle: Option<Duration>,
    /// How long one is used; `None` = for ever.
    pub lifetime: Option<Duration>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            maximum: 128,
            minimum_idle: 0,
            patience: Duration::from_secs(10),
            idle: Some(Duration::from_secs(120)),
            lifetime: Some(Duration::from_secs(300)),
        }
    }
}

impl PostgresOptions {
    /// The database under an address like `postgresql://host:5432/name`; a `jdbc:` before it is passed over. What is
    /// given beside the address counts where the address itself does not say it.
    ///
    /// # Errors
    /// When the address is none, or asks for encryption, which this version has not.
    pub fn new(url: &str, user: Option<&str>, password: Option<&str>, pool: PoolOptions) -> Result<Self, StoreError> {
        let wrong = |message: String| StoreError::Address(message);
        let url = url.trim();
        let url = url.strip_prefix("jdbc:").unwrap_or(url);
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let said = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            wrong(format!("it cannot be read: {said}"))
        })?;
        if matches!(config.get_ssl_mode(), SslMode::Require) {
            return Err(wrong("this version has no encryption to the server, which sslmode asks for".to_owned()));
        }
        config.ssl_mode(SslMode::Disable);
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if let (None, Some(user)) = (config.get_user(), user) {
            config.user(user);
        }
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        config.application_name("mytism").connect_timeout(CONNECT_LIMIT);
        config.keepalives_idle(SILENCE_LIMIT).tcp_user_timeout(SILENCE_LIMIT);
        Ok(Self { config, pool })
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) const fn pool(&self) -> &PoolOptions {
        &self.pool
    }

    /// The database for people, without the password.
    #[must_use]
    pub fn name(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let user = self.config.get_user().unwrap_or_default();
        format!("postgresql://{host}:{port}/{}", self.config.get_dbname().unwrap_or(user))
    }

    /// The same where a path is asked for.
    pub(super) fn place(&self) -> PathBuf {
        PathBuf::from(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let name =
            |url: &str| PostgresOptions::new(url, Some("u"), Some("secret"), PoolOptions::default()).map(|o| o.name());
        assert_eq!(name("postgresql://db:5433/demo").unwrap(), "postgresql://db:5433/demo");
        assert_eq!(name("jdbc:postgresql://db/demo").unwrap(), "postgresql://db:5432/demo");
        assert_eq!(name("postgresql:///demo?host=/run/pg").unwrap(), "postgresql:///run/pg:5432/demo");
        assert_eq!(name("postgresql://db").unwrap(), "postgresql://db:5432/u");
        for wrong in ["mysql://db/demo", "postgresql://db/demo?sslmode=require", "postgresql://db/demo?tea=1"] {
            assert_eq!(name(wrong).unwrap_err().failure().code, "database-address", "{wrong}");
        }
    }
}
