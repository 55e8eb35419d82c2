//! Rows of a file to be imported: CSV or JSON lines in, cells out, one row in memory at a time. Knows no schema and no
//! node.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::StringRecord;
use mytism_core::failure::Failure;
use serde_json::Value as Json;

use crate::encoding::{Decoder, Encoding, NoText};
use crate::layout::{Found, Layout, Quote, delimiter, is_json};
use crate::{guard, json};

/// The longest row, in bytes. Without a limit one forgotten quotation mark would make a row of the whole file.
const ROW_BYTES_MAX: u64 = 64 << 20;
/// What is looked at to find how a file is made, its header line above all; in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Counts the rows of the file, from 0.
    pub number: u64,
    /// The line of the file that it begins on, from 1.
    pub line: u64,
    /// Names of its columns: the header of a CSV file, the fields of a JSON object.
    pub columns: Rc<[String]>,
    /// One a column; `None` is an empty cell of a CSV file, or `null`.
    pub cells: Vec<Option<String>>,
    /// The row as it stands, for the file of bad rows.
    pub raw: Raw,
}

/// A row as it stands in its file.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// All cells.
    Csv(StringRecord),
    /// The line.
    Json(String),
}

/// Something that is not a row.
#[derive(Debug)]
pub enum Bad {
    /// This row is bad, the next may be good.
    Row {
        /// As in [`Row`].
        number: u64,
        /// As in [`Row`].
        line: u64,
        /// As in [`Row`].
        raw: Raw,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be read on.
    File(Failure),
}

/// A file of rows.
pub struct RowFile {
    path: PathBuf,
    form: Form,
    found: Found,
    guarded: bool,
    next: u64,
    left: Rc<Cell<u64>>,
    taken: Rc<Cell<u64>>,
}

enum Form {
    Csv { reader: csv::Reader<Bounded>, end: Rc<Cell<Option<u64>>>, columns: Rc<[String]> },
    Json { reader: BufReader<Bounded>, columns: Rc<[String]>, line: u64 },
}

/// Counts the bytes of a file as they are taken.
struct Counted<R> {
    file: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

/// A file whose last line has an end too, and that fails where a row does not end in time. Files of CSV get a mark
/// behind the end: it comes out as a row of its own, unless a quotation mark was never closed.
struct Bounded {
    file: BufReader<Box<dyn Read>>,
    left: Rc<Cell<u64>>,
    /// Bytes that came out.
    given: u64,
    /// All bytes with the mark, once it has come out.
    end: Rc<Cell<Option<u64>>>,
    /// What is yet to come behind the file.
    behind: &'static [u8],
    ends_with_line: bool,
}

/// What comes behind a file of CSV; any text will do, since its place tells it from rows.
const MARK: &[u8] = b"end\n";

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            let message = format!("a row is longer than {} MB; is a quotation mark missing?", ROW_BYTES_MAX >> 20);
            return Err(io::Error::other(message));
        }
        let mut read = self.file.read(buffer)?;
        match buffer.get(..read).and_then(<[u8]>::last) {
            Some(last) => self.ends_with_line = *last == b'\n',
            None if self.ends_with_line => read = self.read_behind(buffer),
            None => {
                if let Some(first) = buffer.first_mut() {
                    *first = b'\n';
                    (read, self.ends_with_line) = (1, true);
                }
            }
        }
        self.given += read as u64;
        if read > 0 && self.behind.is_empty() {
            self.end.set(Some(self.given));
        }
        self.left.set(self.left.get().saturating_sub(read as u64));
        Ok(read)
    }
}

impl Bounded {
    fn read_behind(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.behind.len().min(buffer.len());
        let (now, later) = self.behind.split_at_checked(count).unwrap_or_default();
        if let Some(room) = buffer.get_mut(..count) {
            room.copy_from_slice(now);
        }
        self.behind = later;
        count
    }
}

impl RowFile {
    /// Opens a file; `.jsonl` and `.ndjson` are JSON lines, everything else is CSV.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or is not in its encoding.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Self::over(path, file, layout)
    }

    /// As [`RowFile::open`], but the content comes from somewhere else; the path names it and tells its form.
    ///
    /// # Errors
    /// As [`RowFile::open`].
    pub fn over(path: &Path, content: impl Read + 'static, layout: &Layout) -> Result<Self, Failure> {
        let taken = Rc::new(Cell::new(0));
        let counted = Counted { file: content, taken: Rc::clone(&taken) };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, counted);
        let mark = Encoding::of_mark(raw.fill_buf().map_err(|error| unreadable(path, &error))?);
        raw.consume(mark.map_or(0, |(_, length)| length));
        let encoding = mark.map_or(layout.encoding, |(encoding, _)| encoding);
        let content: Box<dyn Read> = Box::new(Decoder::new(raw, encoding));
        let mut file = BufReader::with_capacity(BUFFER_BYTES, content);
        let start = file.fill_buf().map_err(|error| unreadable(path, &error))?;
        let is_json = is_json(path);
        let quote = layout.quote;
        let found = Found {
            delimiter: (!is_json).then(|| layout.delimiter.unwrap_or_else(|| delimiter(start, quote))),
            quote,
            encoding,
            has_mark: mark.is_some(),
            has_returns: start.windows(2).any(|pair| pair == b"\r\n"),
        };
        let left = Rc::new(Cell::new(ROW_BYTES_MAX));
        let (behind, end) = (if is_json { &[] } else { MARK }, Rc::new(Cell::new(None)));
        let bounded = Bounded { file, left: Rc::clone(&left), given: 0, end, behind, ends_with_line: true };
        let form = match found.delimiter {
            None => Form::Json { reader: BufReader::new(bounded), columns: Rc::new([]), line: 0 },
            Some(delimiter) => csv_form(path, bounded, delimiter, quote)?,
        };
        Ok(Self { path: path.to_owned(), form, found, guarded: layout.guarded, next: 0, left, taken })
    }

    /// How the file is made.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The header of a CSV file; `None` for JSON lines, where each row names its own columns.
    pub fn header(&self) -> Option<&Rc<[String]>> {
        match &self.form {
            Form::Csv { columns, .. } => Some(columns),
            Form::Json { .. } => None,
        }
    }

    /// How many bytes of the file were taken, about.
    pub fn bytes_read(&self) -> u64 {
        self.taken.get()
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<Row>, Bad> {
        self.left.set(ROW_BYTES_MAX);
        let number = self.next;
        let row = match &mut self.form {
            Form::Csv { reader, end, columns } => next_csv(&self.path, reader, end, columns, number),
            Form::Json { reader, columns, line } => next_json(&self.path, reader, columns, line, number),
        };
        self.next += 1;
        let guarded = self.guarded;
        row.map(|row| row.map(|row| if guarded { without_guards(row) } else { row }))
    }
}

fn without_guards(mut row: Row) -> Row {
    for cell in row.cells.iter_mut().flatten() {
        let bare = guard::bare(cell);
        if bare.len() != cell.len() {
            *cell = bare.to_owned();
        }
    }
    row
}

fn csv_form(path: &Path, bounded: Bounded, delimiter: u8, quote: Quote) -> Result<Form, Failure> {
    // With any other terminator the reader's count of lines is off by one in files with CR LF.
    let terminator = csv::Terminator::Any(b'\n');
    let end = Rc::clone(&bounded.end);
    let mut builder = csv::ReaderBuilder::new();
    match quote {
        Quote::Sign(sign) => builder.quote(sign),
        Quote::None => builder.quoting(false),
    };
    let mut reader = builder.delimiter(delimiter).terminator(terminator).flexible(true).from_reader(bounded);
    let header = reader.headers().map_err(|error| csv_failure(path, &error, 1))?;
    let columns: Rc<[String]> = header.iter().map(|name| name.trim().to_owned()).collect();
    let problem =
        |message: String| Failure::usage("wrong-file", format!("{} line 1: {message}", path.display())).at(1, 1);
    if columns.iter().all(String::is_empty) || end.get() == Some(reader.position().byte()) {
        return Err(problem("there is no header line".to_owned()).hint("the first line must name the columns"));
    }
    let mut names = HashSet::new();
    if let Some(twice) = columns.iter().find(|name| !names.insert(name.as_str())) {
        return Err(problem(format!("two columns are named \"{twice}\"")));
    }
    Ok(Form::Csv { reader, end, columns })
}

fn next_csv(
    path: &Path,
    reader: &mut csv::Reader<Bounded>,
    end: &Cell<Option<u64>>,
    columns: &Rc<[String]>,
    number: u64,
) -> Result<Option<Row>, Bad> {
    let mut record = StringRecord::new();
    loop {
        let before = reader.position().line();
        if !reader.read_record(&mut record).map_err(|error| Bad::File(csv_failure(path, &error, before)))? {
            return Ok(None);
        }
        // Else a blank line of a file with CR LF; the reader passes over other blank lines by itself.
        if record.len() != 1 || record.get(0) != Some("\r") {
            break;
        }
    }
    if end.get() == Some(reader.position().byte()) {
        return the_end(reader, &record, number);
    }
    without_return(&mut record);
    // The reader stands behind the end of the row, and every row ends with a line.
    let inside = record.iter().flat_map(str::bytes).filter(|byte| *byte == b'\n').count() as u64;
    let line = reader.position().line().saturating_sub(inside + 1);
    if record.len() != columns.len() {
        let cells = if record.len() == 1 { "cell" } else { "cells" };
        let message = format!("the row has {} {cells}, the header line {}", record.len(), columns.len());
        return Err(Bad::Row { number, line, raw: Raw::Csv(record), message });
    }
    let cells = record.iter().map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).collect();
    Ok(Some(Row { number, line, columns: Rc::clone(columns), cells, raw: Raw::Csv(record) }))
}

/// What came last holds the mark: it is the mark alone, or a row whose last cell went on over it.
fn the_end(reader: &csv::Reader<Bounded>, record: &StringRecord, number: u64) -> Result<Option<Row>, Bad> {
    let mark = std::str::from_utf8(MARK).unwrap_or_default();
    if record.len() == 1 && record.get(0) == Some(mark.trim_end()) {
        return Ok(None);
    }
    let inside = record.iter().flat_map(str::bytes).filter(|byte| *byte == b'\n').count() as u64;
    let line = reader.position().line().saturating_sub(inside);
    let raw = record.iter().map(|cell| cell.strip_suffix(mark).unwrap_or(cell)).collect();
    let message = "a quotation mark is opened in it and never closed".to_owned();
    Err(Bad::Row { number, line, raw: Raw::Csv(raw), message })
}

/// Takes away the CR before the LF that ended a row.
fn without_return(record: &mut StringRecord) {
    let Some(last) = record.len().checked_sub(1) else { return };
    let strip = |(index, cell): (usize, &str)| {
        let stripped = cell.strip_suffix('\r').filter(|_| index == last);
        stripped.unwrap_or(cell).to_owned()
    };
    if record.get(last).is_some_and(|cell| cell.ends_with('\r')) {
        *record = record.iter().enumerate().map(strip).collect();
    }
}

fn next_json(
    path: &Path,
    reader: &mut BufReader<Bounded>,
    columns: &mut Rc<[String]>,
    line: &mut u64,
    number: u64,
) -> Result<Option<Row>, Bad> {
    let text = loop {
        let mut raw = Vec::new();
        let read = reader.read_until(b'\n', &mut raw).map_err(|error| Bad::File(unreadable(path, &error)))?;
        if read == 0 {
            return Ok(None);
        }
        *line += 1;
        let text = String::from_utf8(raw).map_err(|error| Bad::File(unreadable(path, &io::Error::other(error))))?;
        if !text.trim().is_empty() {
            break text.trim().to_owned();
        }
    };
    let (names, cells) = match flat(&text) {
        Ok(fields) => fields,
        Err(message) => return Err(Bad::Row { number, line: *line, raw: Raw::Json(text), message }),
    };
    // Rows mostly have the same columns; they share one list then, by which the importer sees it cheaply.
    if **columns != *names {
        *columns = names.into();
    }
    Ok(Some(Row { number, line: *line, columns: Rc::clone(columns), cells, raw: Raw::Json(text) }))
}

/// Names and values of an object without objects in it.
fn flat(text: &str) -> Result<(Vec<String>, Vec<Option<String>>), String> {
    let json = json::read(text).map_err(|error| {
        let whole = error.to_string();
        let told = whole.split(" at line ").next().unwrap_or(&whole);
        if error.is_data() { format!("column {}: {told}", error.column()) } else { format!("no JSON: {whole}") }
    })?;
    let Json::Object(fields) = json else { return Err("an object is expected".to_owned()) };
    let mut names = Vec::with_capacity(fields.len());
    let mut cells = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        cells.push(match value {
            Json::Null => None,
            Json::Bool(given) => Some(given.to_string()),
            Json::Number(digits) => Some(digits.to_string()),
            Json::String(text) => Some(text),
            Json::Array(_) | Json::Object(_) => {
                return Err(format!(
                    "{name}: a text, number, true, false or null is expected; a reference is the key of its target"
                ));
            }
        });
        names.push(name);
    }
    if names.is_empty() { Err("the object is empty".to_owned()) } else { Ok((names, cells)) }
}

fn csv_failure(path: &Path, error: &csv::Error, line: u64) -> Failure {
    match error.kind() {
        csv::ErrorKind::Io(error) => unreadable(path, error),
        _ => Failure::failed("wrong-file", format!("{} line {line}: {error}", path.display())),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    if let Some(no_text) = error.get_ref().and_then(|inner| inner.downcast_ref::<NoText>()) {
        return wrong_encoding(path, *no_text);
    }
    let failure = Failure::failed("file-error", format!("cannot read {}: {error}", path.display()));
    if error.kind() == io::ErrorKind::NotFound {
        failure.hint("check the path; it counts from the current directory")
    } else {
        failure
    }
}

fn wrong_encoding(path: &Path, no_text: NoText) -> Failure {
    let number = |place: u64| u32::try_from(place).unwrap_or(u32::MAX);
    let hint = match no_text.encoding {
        Encoding::Utf8 => "say how it is encoded: --encoding windows-1252, latin-1 or utf-16",
        _ => "say how it is encoded, see --encoding",
    };
    Failure::usage("wrong-encoding", format!("{} {no_text}", path.display()))
        .hint(hint)
        .at(number(no_text.line), number(no_text.column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        (directory, path)
    }

    /// All rows as `line: column=cell …`, bad ones with their message.
    fn rows(name: &str, content: &[u8]) -> Result<Vec<String>, Failure> {
        laid_out(name, content, Layout::default())
    }

    fn laid_out(name: &str, content: &[u8], layout: Layout) -> Result<Vec<String>, Failure> {
        let (_directory, path) = file(name, content);
        let mut file = RowFile::open(&path, &layout)?;
        let mut found = Vec::new();
        loop {
            match file.next_row() {
                Ok(None) => return Ok(found),
                Ok(Some(row)) => {
                    let cells = row.columns.iter().zip(&row.cells);
                    let shown = cells.map(|(name, cell)| format!("{name}={}", cell.as_deref().unwrap_or("-")));
                    found.push(format!("{}: {}", row.line, shown.collect::<Vec<_>>().join(" ")));
                }
                Err(Bad::Row { line, message, .. }) => found.push(format!("{line}! {message}")),
                Err(Bad::File(failure)) => return Err(failure),
            }
        }
    }

    #[test]
    fn csv_in_all_its_dresses() {
        let check = |content: &str, expected: &[&str]| {
            assert_eq!(rows("a.csv", content.as_bytes()).unwrap(), expected, "{content:?}");
        };
        check("A,B\n1,2\n", &["2: A=1 B=2"]);
        check("A;B\r\n1;2,5\r\n", &["2: A=1 B=2,5"]);
        check("A,B\r\n\r\n\"x\r\ny\",\"\"\r\n3,\"4\"", &["3: A=x\r\ny B=-", "5: A=3 B=4"]);
        check("\u{feff}A,B\n1,\n", &["2: A=1 B=-"]);
        check("\"A;x\";B\n1;2\n", &["2: A;x=1 B=2"]);
        check("\"A;x;y\",B,C\n1,2,3\n", &["2: A;x;y=1 B=2 C=3"]);
        check(" A ,B\n x ,\"\"\n", &["2: A= x  B=-"]);
        check("A,B\n\"one\ntwo\",\"a\"\"b\"\n3,4", &["2: A=one\ntwo B=a\"b", "4: A=3 B=4"]);
        check("A\n\n1\n\n\n2\n", &["3: A=1", "6: A=2"]);
        check(
            "A,B\n1\n1,2,3\n4,5\n",
            &["2! the row has 1 cell, the header line 2", "3! the row has 3 cells, the header line 2", "4: A=4 B=5"],
        );
        check("A,B\n", &[]);
        check("A\nend\n\"end\"\n", &["2: A=end", "3: A=end"]);
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_swallows_nothing_in_silence() {
        let message = "a quotation mark is opened in it and never closed";
        for content in ["\nA,B\n2,Ost\n3,\"x,\n", "\nA,B\n2,Ost\n3,\"x,\n4,5", "\nA,B\n2,Ost\n3,\""] {
            assert_eq!(rows("a.csv", content.as_bytes()).unwrap(), ["3: A=2 B=Ost", &format!("4! {message}")]);
        }
        assert_eq!(rows("a.csv", b"A,\"B\n1,2\n").unwrap_err().code, "wrong-file");
    }

    #[test]
    fn json_lines() {
        let check = |content: &str, expected: &[&str]| {
            assert_eq!(rows("a.jsonl", content.as_bytes()).unwrap(), expected, "{content:?}");
        };
        check("{\"A\":1.50,\"B\":null}\n\n{\"B\":true}", &["1: A=1.50 B=-", "3: B=true"]);
        check("\u{feff}{\"A\":\"\"}", &["1: A="]);
        let bad = "1! A: a text, number, true, false or null is expected; a reference is the key of its target";
        check("{\"A\":{}}\n{\"A\":1}", &[bad, "2: A=1"]);
        check("[1]\n{}\n", &["1! an object is expected", "2! the object is empty"]);
        check("{\"A\":1,\"B\":2,\"A\":3}", &["1! column 16: the field \"A\" stands twice"]);
        check("{\n", &["1! no JSON: EOF while parsing an object at line 1 column 1"]);
    }

    #[test]
    fn a_wrong_file_says_where() {
        let check = |name: &str, content: &[u8], code: &str, message: &str| {
            let failure = rows(name, content).unwrap_err();
            assert_eq!(failure.code, code, "{failure:?}");
            assert!(failure.message.contains(message), "{failure:?}");
        };
        check("a.csv", b"A,B\n1,2\n3,M\xfcller\n", "wrong-encoding", "a.csv line 3");
        check("a.csv", b"A,B\n\"x\xc3\xa4\xff\"\n", "wrong-encoding", "line 2 column 4: the byte 0xff is not UTF-8");
        check("a.csv", b"\xff\xfeA", "wrong-encoding", "line 1 column 1: the byte 0x41 is not UTF-16");
        check("a.jsonl", b"{\"A\":1}\n{\"A\":\"\xfc\"}\n", "wrong-encoding", "a.jsonl line 2");
        check("a.csv", b"", "wrong-file", "no header line");
        check("a.csv", b"A,B,A\n", "wrong-file", "two columns are named \"A\"");
        assert_eq!(
            RowFile::open(Path::new("/nowhere/at/all.csv"), &Layout::default())
                .err()
                .map(|failure| failure.code)
                .as_deref(),
            Some("file-error")
        );
    }

    #[test]
    fn a_forgotten_quotation_mark_does_not_fill_the_memory() {
        let mut content = b"A\n\"".to_vec();
        content.resize(usize::try_from(ROW_BYTES_MAX).unwrap() + (1 << 20), b'x');
        let failure = rows("a.csv", &content).unwrap_err();
        assert!(failure.message.contains("quotation mark"), "{failure:?}");
    }

    #[test]
    fn files_tell_how_they_are_made() {
        let check = |content: &[u8], expected: &[&str], found: &str| {
            let (_directory, path) = file("a.csv", content);
            assert_eq!(rows("a.csv", content).unwrap(), expected);
            let is = *RowFile::open(&path, &Layout::default()).unwrap().found();
            let delimiter = char::from(is.delimiter.unwrap());
            assert_eq!(format!("{delimiter:?} {} {} {}", is.encoding.name(), is.has_mark, is.has_returns), found);
        };
        check(b"A\tB,b\r\n1\t2\r\n", &["2: A=1 B,b=2"], "'\\t' UTF-8 false true");
        check(b"A|B\n1|\n", &["2: A=1 B=-"], "'|' UTF-8 false false");
        check(b"\xef\xbb\xbfA;B\n1;2\n", &["2: A=1 B=2"], "';' UTF-8 true false");
        check(b"\xff\xfeA\0\n\0\xac\x20\n\0", &["2: A=€"], "',' UTF-16 true false");
        check(b"A\n1\n", &["2: A=1"], "',' UTF-8 false false");
    }

    #[test]
    fn what_is_told_counts() {
        let check = |layout: Layout, content: &[u8], expected: &[&str]| {
            assert_eq!(laid_out("a.csv", content, layout).unwrap(), expected);
        };
        let told = Layout { delimiter: Some(b';'), ..Layout::default() };
        check(told, b"A,B,C\n1;2\n", &["2! the row has 2 cells, the header line 1"]);
        let single = Layout { quote: Quote::Sign(b'\''), ..Layout::default() };
        check(single, b"'A,x',B\n'a''\n',\"\n", &["2: A,x=a'\n B=\""]);
        let bare = Layout { quote: Quote::None, ..Layout::default() };
        check(bare, b"A,B\n\"1,2\"\n", &["2: A=\"1 B=2\""]);
        let windows = Layout { encoding: Encoding::Windows1252, ..Layout::default() };
        check(windows, b"A\nK\xe4se \x80\n", &["2: A=Käse €"]);
        check(windows, b"\xef\xbb\xbfA\n\xc3\xa4\n", &["2: A=ä"]);
        let guarded = Layout { guarded: true, ..Layout::default() };
        check(guarded, b"A,B\n'=1,''x\n", &["2: A==1 B=''x"]);
        check(Layout::default(), b"A,B\n'=1,''x\n", &["2: A='=1 B=''x"]);
    }
}
