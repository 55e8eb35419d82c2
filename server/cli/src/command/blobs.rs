//! Contents of files: into a save, and out of the node.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mytism_core::blob::{BLOB_NAME_BYTES_MAX, Blob, UNKNOWN_TYPE};
use mytism_core::failure::Failure;
use mytism_core::input::normal;
use mytism_core::operation::{ContentPart, Input, Operations, Reply, Request, SaveRequest};
use mytism_intake::document::{Document, FileInput};

use super::destination::{Destination, unwritable};
use super::{one, say, unclear};
use crate::args::{Blob as Arguments, BlobAction, BlobGet};
use crate::json;
use crate::output::{Output, harmless};
use crate::words::fill;

/// Bytes that go to the node at once.
const PART_BYTES: usize = 1 << 20;
/// Pause between two looks whether more has come.
const PAUSE: Duration = Duration::from_millis(100);
/// After so long without any byte of it, a content does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// `blob`.
///
/// # Errors
/// The node's, or the disk's.
pub(crate) fn run(node: &dyn Operations, arguments: &Arguments, output: &mut Output<'_>) -> Result<(), Failure> {
    let BlobAction::Get(arguments) = &arguments.action;
    get(node, arguments, PATIENCE, output)
}

/// Brings the files of a document to the node, and puts what they are in their places.
///
/// # Errors
/// When a file cannot be read, or the node does not take it.
pub(crate) fn filled(node: &dyn Operations, document: Document) -> Result<SaveRequest, Failure> {
    let Document { mut request, files } = document;
    for file in files {
        let blob = upload(node, &file)?;
        let values = request.changes.get_mut(file.change).map(|change| &mut change.values);
        let place = values.and_then(|values| values.iter_mut().find(|(name, _)| *name == file.attribute));
        if let Some((_, value)) = place {
            *value = Input::Blob(Box::new(blob));
        }
    }
    Ok(request)
}

fn upload(node: &dyn Operations, given: &FileInput) -> Result<Blob, Failure> {
    let path = Path::new(&given.path);
    let unreadable = |error: io::Error| {
        Failure::usage("file-unreadable", format!("{} cannot be read: {error}", given.path))
            .hint("the path of a file counts from the directory in which the command runs")
    };
    // Opening a pipe would wait for somebody who writes to it, maybe for ever.
    let there = path.metadata().map_err(unreadable)?;
    if there.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if !there.is_file() {
        return Err(unreadable(io::Error::other("it is no ordinary file")));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut upload = None;
    loop {
        let mut data = Vec::with_capacity(PART_BYTES);
        let read = Read::by_ref(&mut file).take(PART_BYTES as u64).read_to_end(&mut data).map_err(unreadable)?;
        let end = read < PART_BYTES;
        let (number, bytes, hash) = one(node, Request::PutContent { upload, data, end }, |reply| match reply {
            Reply::ContentPut { upload, bytes, hash } => Some((upload, bytes, hash)),
            _ => None,
        })?;
        upload = Some(number);
        if end {
            let hash = hash.ok_or_else(unclear)?;
            let name = given.name.clone().unwrap_or_else(|| name_of(path));
            let media_type = given.media_type.clone().unwrap_or_else(|| media_type_of(&name));
            return Blob::new(hash, bytes, &name, &media_type).ok_or_else(|| {
                let message = format!("\"{}\" of type \"{media_type}\" cannot stand for a file", harmless(&name));
                Failure::usage("wrong-document", message)
                    .hint("a name has 1 … 255 bytes without control characters, a type 1 … 127 letters of ASCII")
            });
        }
    }
}

/// The name of a file as a value can hold it.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let visible: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let mut name = normal(&visible).unwrap_or_default();
    while name.len() > BLOB_NAME_BYTES_MAX {
        name.pop();
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

/// The media type that goes with the end of a name.
fn media_type_of(name: &str) -> String {
    mime_guess::from_path(name).first_raw().unwrap_or(UNKNOWN_TYPE).to_owned()
}

/// Writes what an attribute holds to a file, under another name until all of it is there.
fn get(node: &dyn Operations, arguments: &BlobGet, patience: Duration, output: &mut Output<'_>) -> Result<(), Failure> {
    let path = &arguments.out;
    let destination = Destination::create(path)?;
    let mut fetching = Fetching::begin(node, arguments, patience, output)?;
    while !fetching.part.data.is_empty() {
        let written = destination.file().write_all(&fetching.part.data);
        written.map_err(|error| unwritable(path, &error))?;
        fetching.next(node, arguments, patience, output)?;
    }
    destination.publish()?;
    let blob = &fetching.part.blob;
    if output.json {
        let mut document = json::blob(blob);
        document.insert("file".to_owned(), path.display().to_string().into());
        output.document(&document.into());
    } else {
        let bytes = output.words.bytes(blob.bytes());
        let (name, place) = (harmless(blob.name()), harmless(&path.display().to_string()));
        output.line(fill(output.words.content_written, &[&name, &place, &bytes]));
    }
    Ok(())
}

/// A content on its way to a file.
struct Fetching {
    part: ContentPart,
}

impl Fetching {
    fn begin(
        node: &dyn Operations,
        arguments: &BlobGet,
        patience: Duration,
        output: &Output<'_>,
    ) -> Result<Self, Failure> {
        Ok(Self { part: part(node, arguments, 0, patience, output)? })
    }

    fn next(
        &mut self,
        node: &dyn Operations,
        arguments: &BlobGet,
        patience: Duration,
        output: &Output<'_>,
    ) -> Result<(), Failure> {
        let from = self.part.from + self.part.data.len() as u64;
        let next = part(node, arguments, from, patience, output)?;
        if next.blob != self.part.blob {
            let message = format!("{} of object {} was changed meanwhile", arguments.attribute, arguments.object);
            return Err(Failure::refused("changed-meanwhile", message).hint("fetch it again"));
        }
        if next.data.is_empty() && from != next.blob.bytes() {
            return Err(unclear());
        }
        self.part = next;
        Ok(())
    }
}

/// The bytes from a place on. Waits until the content is here, as long as more of it comes.
fn part(
    node: &dyn Operations,
    arguments: &BlobGet,
    from: u64,
    patience: Duration,
    output: &Output<'_>,
) -> Result<ContentPart, Failure> {
    let mut since = (Instant::now(), None);
    loop {
        let request = Request::GetContent { object: arguments.object, attribute: arguments.attribute.clone(), from };
        let part = one(node, request, |reply| match reply {
            Reply::ContentPart(part) => Some(part),
            _ => None,
        })?;
        if part.here {
            return Ok(part);
        }
        if since.1 != Some(part.arrived) {
            since = (Instant::now(), Some(part.arrived));
            told(&part, output);
        } else if since.0.elapsed() >= patience {
            let message = format!("the content of \"{}\" is not here yet, and nothing of it comes", part.blob.name());
            let hint =
                "`./mytism status` tells whether the line to the other nodes stands; it is fetched when they are back";
            return Err(Failure::failed("content-not-here", message).hint(hint));
        }
        sleep(PAUSE);
    }
}

fn told(part: &ContentPart, output: &Output<'_>) {
    if output.json || !io::stderr().is_terminal() {
        return;
    }
    let (arrived, bytes) = (output.words.bytes(part.arrived), output.words.bytes(part.blob.bytes()));
    say(&fill(output.words.content_comes, &[&harmless(part.blob.name()), &arrived, &bytes]));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mytism_core::id::{Hash, ObjectId};

    use super::*;
    use crate::command::fake::Fake;

    fn blob(bytes: u64) -> Blob {
        Blob::new(Hash([0xab; 32]), bytes, "a.pdf", "application/pdf").unwrap()
    }

    fn wish(root: &Path) -> BlobGet {
        BlobGet { object: ObjectId::new(7).unwrap(), attribute: "File".into(), out: root.join("out.pdf") }
    }

    fn answer(from: u64, data: &[u8], here: bool) -> Vec<Reply> {
        vec![Reply::ContentPart(ContentPart { blob: blob(5), from, data: data.to_vec(), here, arrived: 0 })]
    }

    #[test]
    fn a_content_is_written_part_by_part() {
        let root = tempfile::tempdir().unwrap();
        let node = Fake::new(|request| match request {
            Request::GetContent { from: 0, .. } => Ok(answer(0, b"abc", true)),
            Request::GetContent { from: 3, .. } => Ok(answer(3, b"de", true)),
            Request::GetContent { from, .. } => Ok(answer(*from, b"", true)),
            other => panic!("{other:?}"),
        });
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, true);
        get(&node, &wish(root.path()), Duration::ZERO, &mut output).unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(root.path().join("out.pdf")).unwrap(), b"abcde");
        let told = String::from_utf8(bytes).unwrap();
        assert!(told.contains("\"name\":\"a.pdf\",\"type\":\"application/pdf\",\"file\":"), "{told}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_does_not_come_or_changes_leaves_no_file() {
        let root = tempfile::tempdir().unwrap();
        let check = |node: &dyn Operations, code: &str| {
            let output = &mut Output::to(io::sink(), true);
            assert_eq!(get(node, &wish(root.path()), Duration::ZERO, output).unwrap_err().code, code);
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        };
        check(&Fake::new(|_| Ok(answer(0, b"", false))), "content-not-here");
        let other = ContentPart { blob: blob(6), from: 3, data: b"x".to_vec(), here: true, arrived: 0 };
        let changed = Fake::new(|request| match request {
            Request::GetContent { from: 0, .. } => Ok(answer(0, b"abc", true)),
            _ => Ok(vec![Reply::ContentPart(other.clone())]),
        });
        check(&changed, "changed-meanwhile");
        let short = Fake::new(|request| match request {
            Request::GetContent { from: 0, .. } => Ok(answer(0, b"abc", true)),
            _ => Ok(answer(3, b"", true)),
        });
        check(&short, "answer-unclear");
    }

    #[test]
    fn files_of_a_document_are_brought_and_take_their_places() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("Rechnung.pdf");
        fs::write(&path, vec![7; PART_BYTES + 3]).unwrap();
        let text = format!(
            r#"{{"changes":[{{"new":"a","entity":"Invoice","values":{{"Number":5,"File":{{"file":"{}"}}}}}}]}}"#,
            path.display()
        );
        let document = mytism_intake::document::read(&text).unwrap();
        let node = Fake::new(|request| match request {
            Request::PutContent { upload: None, data, end: false } if data.len() == PART_BYTES => {
                Ok(vec![Reply::ContentPut { upload: 4, bytes: PART_BYTES as u64, hash: None }])
            }
            Request::PutContent { upload: Some(4), data, end: true } => Ok(vec![Reply::ContentPut {
                upload: 4,
                bytes: (PART_BYTES + data.len()) as u64,
                hash: Some(Hash([1; 32])),
            }]),
            other => panic!("{other:?}"),
        });
        let request = filled(&node, document).unwrap();
        let expected = Blob::new(Hash([1; 32]), (PART_BYTES + 3) as u64, "Rechnung.pdf", "application/pdf").unwrap();
        assert_eq!(request.changes[0].values[1], ("File".to_owned(), Input::Blob(Box::new(expected))));
        assert_eq!(request.changes[0].values[0], ("Number".to_owned(), Input::Number("5".into())));
        let missing = text.replace("Rechnung", "Mahnung");
        let missing = mytism_intake::document::read(&missing).unwrap();
        assert_eq!(filled(&node, missing).unwrap_err().code, "file-unreadable");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let root = tempfile::tempdir().unwrap();
        let node = Fake::new(|_| Ok(answer(0, b"abc", true)));
        let wish = BlobGet { out: root.path().join("missing").join("out"), ..wish(root.path()) };
        let output = &mut Output::to(io::sink(), true);
        assert_eq!(get(&node, &wish, Duration::ZERO, output).unwrap_err().code, "file-error");
    }

    #[test]
    fn names_and_types_are_those_that_a_value_can_hold() {
        assert_eq!(name_of(Path::new("/a/e\u{301}tat\n.pdf")), "état.pdf");
        assert_eq!(name_of(Path::new("/")), "file");
        let long = name_of(Path::new(&"ä".repeat(200)));
        assert_eq!(long, "ä".repeat(127));
        assert_eq!(media_type_of("a.TXT"), "text/plain");
        assert_eq!(media_type_of("a.unknown-to-all"), UNKNOWN_TYPE);
    }
}
