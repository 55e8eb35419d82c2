//! Records that may be any number, kept in a file without a name, so that memory stays what it is.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};

use csv::StringRecord;
use mytism_core::failure::Failure;

/// See the module. First all records are put in, then they are read, as often as one likes.
pub(super) struct Spill {
    file: Option<(File, csv::Writer<BufWriter<File>>)>,
    count: u64,
}

/// The records, in the order in which they were put in.
pub(super) struct Records {
    from: Option<csv::Reader<BufReader<File>>>,
}

impl Spill {
    /// Without a record; the file is made when it is needed.
    pub(super) const fn new() -> Self {
        Self { file: None, count: 0 }
    }

    /// How many records there are.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Puts a record in; all must have the same number of fields.
    pub(super) fn put(&mut self, fields: &[&str]) -> Result<(), Failure> {
        let (_, to) = match &mut self.file {
            Some(file) => file,
            none => {
                let file = tempfile::tempfile().map_err(full)?;
                let to = file.try_clone().map_err(full)?;
                none.insert((file, csv::Writer::from_writer(BufWriter::new(to))))
            }
        };
        self.count += 1;
        to.write_record(fields).map_err(full)
    }

    /// Reads them from the first one on; one reader at a time.
    pub(super) fn read(&mut self) -> Result<Records, Failure> {
        let Some((file, to)) = &mut self.file else { return Ok(Records { from: None }) };
        to.flush().map_err(full)?;
        let mut from = file.try_clone().map_err(full)?;
        from.seek(SeekFrom::Start(0)).map_err(full)?;
        let builder = csv::ReaderBuilder::new().has_headers(false).from_reader(BufReader::new(from));
        Ok(Records { from: Some(builder) })
    }
}

impl Records {
    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<StringRecord>, Failure> {
        let Some(from) = &mut self.from else { return Ok(None) };
        let mut record = StringRecord::new();
        Ok(from.read_record(&mut record).map_err(full)?.then_some(record))
    }

    /// At most so many.
    pub(super) fn some(&mut self, most: usize) -> Result<Vec<StringRecord>, Failure> {
        let mut records = Vec::new();
        while records.len() < most {
            let Some(record) = self.next()? else { break };
            records.push(record);
        }
        Ok(records)
    }
}

fn full(error: impl std::fmt::Display) -> Failure {
    let directory = std::env::temp_dir();
    Failure::failed("file-error", format!("cannot keep a temporary file in {}: {error}", directory.display()))
        .hint("make room there, or name another directory with the variable TMPDIR")
}
