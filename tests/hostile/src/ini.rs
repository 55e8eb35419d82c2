//! `mytism.ini`: read, and one setting written into it.

use std::cell::LazyCell;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use mytism_server::config::{Config, FILE_NAME, Surroundings, check, write_value};
use tempfile::TempDir;

use crate::measure::{Bound, within};
use crate::{Told, told};

/// Every line may have something wrong, which takes a message.
const MEMORY: Bound = Bound { base: 256 << 10, per_byte: 2048 };

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(crate::folder);
}

/// What stands in every file that holds a secret.
const SECRET: &str = "quite-a-secret";

/// Surroundings without variables.
struct Alone;

impl Surroundings for Alone {
    fn variables(&self) -> Vec<(String, OsString)> {
        Vec::new()
    }

    fn secret(&self, _: &Path) -> Result<String, String> {
        Ok(SECRET.to_owned())
    }
}

/// A file, with values written into it.
///
/// # Panics
/// When a law is broken.
pub fn ini(input: &[u8]) -> Told {
    FOLDER.with(|folder| {
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, input).expect("a file can be written");
        let loaded = within(MEMORY, input.len(), || Config::load(&path, &Alone));
        assert!(!format!("{loaded:?}").contains(SECRET), "no secret is shown");
        let said = match &loaded {
            Ok(config) => format!("fine, {} warnings", config.warnings.len().min(3)),
            Err(problems) => {
                assert!(problems.iter().any(mytism_server::config::ConfigProblem::is_error));
                told(&problems[0])
            }
        };
        if let Ok(text) = std::str::from_utf8(input) {
            let (config, problems) = check(text, &path.display().to_string(), &Alone);
            if let Ok(loaded) = loaded {
                assert_eq!(loaded, Config { warnings: problems, ..config });
            }
            check_edits(text);
        }
        said
    })
}

/// A written value changes one line or adds some, and writing it again changes nothing.
fn check_edits(text: &str) {
    for (section, key, value) in [("DBMan", "nodeName", "x=y;z"), ("SyncService", "advertise", ""), ("New", "k", "v")] {
        let Ok(written) = write_value(text, section, key, value) else { continue };
        assert_eq!(write_value(&written, section, key, value).as_ref(), Ok(&written), "written twice");
        let kept = |line: &&str| !line.is_empty();
        let (before, after): (Vec<&str>, Vec<&str>) =
            (text.split('\n').filter(kept).collect(), written.split('\n').filter(kept).collect());
        let same = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
        let same_behind =
            before[same..].iter().rev().zip(after[same..].iter().rev()).take_while(|(one, other)| one == other).count();
        assert!(before.len() - same - same_behind <= 1, "one line is changed at most:\n{text:?}\n{written:?}");
        let _problems = check(&written, FILE_NAME, &Alone);
    }
}

/// Sound files.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    let odd =
        "\u{feff}; c\r\n[DBMan]\r\nnodeName = K\u{f6}ln\r\nprotocolDriverCfg = Wire\r\n-- x\r\n[Wire]\r\nport=1\r\n";
    let branch = "[DBMan]\nauthoritative = 0\n[SyncService]\nheadOffice = a.example:9000, [::1]:1\nretryMinimum = 50\n";
    let small = "[DBMan]\nnodeName = a\n";
    vec![small.as_bytes().to_vec(), odd.as_bytes().to_vec(), branch.as_bytes().to_vec()]
}

/// Words of such files.
pub const WORDS: &[&str] = &[
    "[DBMan]\n",
    "[SyncService]\n",
    "[SocketProtocol]\n",
    "[New]\n",
    "nodeName = ",
    "nodeNumber = ",
    "authoritative = ",
    "port = ",
    "tlsPort=",
    "advertise = ",
    "headOffice = ",
    "pass_file = x\n",
    "k = v\n",
    "\r\n",
    "\n",
    "--",
    ";",
    "#",
    "[",
    "]",
    "=",
    "\\\n",
    "\"",
    "99999999999999999999",
    "-1",
    "[::1]:65536",
    "\u{feff}",
];
