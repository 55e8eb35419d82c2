//! Settings of the whole cluster. They are objects of the entity `Setting`, so that every node has the same; the table
//! is here because their names, defaults and limits belong beside those of the file.
//!
//! Knows no file. In this version only `cluster.timeZone` is read, for the date in numbers; see `numbers` in the use
//! cases.

use super::kind::Kind;

/// One setting of the cluster: an object of the entity `Setting` with this `Name`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClusterSetting {
    /// The attribute `Name`.
    pub name: &'static str,
    /// What the attribute `Value` must look like.
    pub kind: Kind,
    /// What counts where there is no such object; empty for "nothing".
    pub default: &'static str,
    /// What it means, for people.
    pub doc: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> ClusterSetting {
    ClusterSetting { name, kind, default, doc }
}

const fn number(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Number { min, max, or_zero: true, unit }
}

/// All of them.
pub const CLUSTER_SETTINGS: &[ClusterSetting] = &[
    setting(
        "cluster.timeZone",
        Kind::Text,
        "Europe/Berlin",
        "Zone of the date in numbers, and of `today` in everything that replicates.",
    ),
    setting("log.retentionDays", number(1, 36_500, "days"), "0", "The log is shortened behind this age; 0 = never."),
    setting(
        "log.slowestNodeDays",
        number(1, 3_650, "days"),
        "180",
        "A node that was away for longer does not keep the log from being shortened.",
    ),
    setting(
        "limit.transactionChanges",
        number(1, 10_000_000, "changes"),
        "10000000",
        "Most changes in one transaction.",
    ),
    setting("limit.valueBytes", number(1, 16_777_216, "bytes"), "16777216", "Longest value of an attribute."),
    setting("notifications.catchall", Kind::Text, "", "User or group who gets notifications that reach nobody else."),
    setting(
        "notification.recipients.mytismBenachAuftragFailed",
        Kind::Names,
        "Admins",
        "Users and groups who are told of orders that failed in spite of retries.",
    ),
    setting("pgpKeyServer", Kind::Text, "", "Where public OpenPGP keys are fetched."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for setting in CLUSTER_SETTINGS {
            assert!(setting.default.is_empty() || setting.kind.read(setting.default).is_ok(), "{}", setting.name);
            assert!(setting.doc.ends_with('.'), "{} needs a sentence", setting.name);
            assert_eq!(CLUSTER_SETTINGS.iter().filter(|other| other.name == setting.name).count(), 1);
        }
    }
}
