//! What people hand in: documents of a save, rows of an import, and the values in both.

use std::io::Cursor;
use std::path::Path;

use jiff::tz::TimeZone;
use mytism_core::id::{EntityId, EnumId};
use mytism_core::input;
use mytism_core::operation::Request;
use mytism_core::query::render_caret;
use mytism_core::schema::{EnumWord, Kind};
use mytism_core::value::Value;
use mytism_format::value::{read_value, value_bytes};
use mytism_intake::document;
use mytism_intake::layout::Layout;
use mytism_intake::rows::{Bad, Raw, Row, RowFile};
use mytism_proto::{decode_request, encode_request};

use crate::measure::{Bound, within};
use crate::{Told, told};

/// A value of JSON takes some eighty bytes in memory and as few as two in the text; lists grow by doubling.
const DOCUMENT: Bound = Bound { base: 16 << 10, per_byte: 512 };
/// Buffers, and one row at a time in a few forms.
const ROWS: Bound = Bound { base: 512 << 10, per_byte: 256 };

/// The document of a save.
///
/// # Panics
/// When a law is broken, as everything here.
pub fn document(input: &[u8]) -> Told {
    let text = String::from_utf8_lossy(input);
    match within(DOCUMENT, text.len(), || document::read(&text)) {
        Err(failure) => {
            assert!(!failure.message.is_empty());
            if let Some(place) = failure.at {
                let shown = within(DOCUMENT, text.len(), || render_caret(&text, place.line, place.column, 0));
                assert!(shown.is_empty() || shown.contains('^'), "{shown}");
            }
            // What stands before the last colon is a path.
            told(format!("{}: {}", failure.code, failure.message.rsplit(": ").next().unwrap_or_default()))
        }
        Ok(request) => {
            let changes = request.request.changes.len();
            let request = Request::Save(request.request);
            match encode_request(&request) {
                Ok(bytes) => assert_eq!(decode_request(&bytes).ok(), Some(request), "it arrives as it was meant"),
                Err(error) => return told(error),
            }
            format!("{} changes", changes.min(9))
        }
    }
}

/// A file of CSV.
pub fn csv(input: &[u8]) -> Told {
    rows("a.csv", input)
}

/// A file of JSON lines.
pub fn json_lines(input: &[u8]) -> Told {
    rows("a.jsonl", input)
}

fn rows(name: &str, input: &[u8]) -> Told {
    let (rows, end) = within(ROWS, input.len(), || read_rows(name, input));
    for pair in rows.windows(2) {
        assert!(pair[0].line < pair[1].line && pair[0].number < pair[1].number, "rows come in their order");
    }
    let lines = input.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    for row in &rows {
        assert!(row.line >= 1 && row.line <= lines, "line {} of {lines}", row.line);
        assert_eq!(row.columns.len(), row.cells.len());
    }
    check_written_again(&rows);
    end
}

/// All good rows, and what is said of the first bad one or the end.
fn read_rows(name: &str, input: &[u8]) -> (Vec<Row>, Told) {
    let mut file = match RowFile::over(Path::new(name), Cursor::new(input.to_vec()), &Layout::default()) {
        Ok(file) => file,
        Err(failure) => return (Vec::new(), told(failure.message)),
    };
    let (mut rows, mut said) = (Vec::new(), None);
    loop {
        match file.next_row() {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {
                let end = format!("{} rows", rows.len().min(3));
                return (rows, said.unwrap_or(end));
            }
            Err(Bad::Row { message, .. }) => {
                said.get_or_insert_with(|| told(message));
            }
            Err(Bad::File(failure)) => return (rows, told(failure.message)),
        }
    }
}

/// Rows that are written as they stand read as the same cells.
fn check_written_again(rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let mut written = Vec::new();
    let name = match &first.raw {
        Raw::Csv(_) => {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(&mut written);
            writer.write_record(first.columns.iter()).expect("writing to memory works");
            for row in rows {
                if let Raw::Csv(record) = &row.raw {
                    writer.write_record(record).expect("writing to memory works");
                }
            }
            drop(writer);
            "a.csv"
        }
        Raw::Json(_) => {
            for row in rows {
                if let Raw::Json(line) = &row.raw {
                    written.extend_from_slice(line.as_bytes());
                    written.push(b'\n');
                }
            }
            "a.jsonl"
        }
    };
    let (again, _) = read_rows(name, &written);
    assert_eq!(meant(&again), meant(rows));
}

/// Columns and cells; whether a CR at the end of a row belongs to its last cell or to the end of the line is not told
/// apart, nor is an empty row of one column from an empty line.
fn meant(rows: &[Row]) -> Vec<(Vec<String>, Vec<Option<String>>)> {
    let of = |row: &Row| {
        let mut cells = row.cells.clone();
        if let (Raw::Csv(_), Some(last)) = (&row.raw, cells.last_mut()) {
            *last = last.take().map(|cell| cell.trim_end_matches('\r').to_owned()).filter(|cell| !cell.is_empty());
        }
        (row.columns.to_vec(), cells)
    };
    rows.iter().map(of).filter(|(_, cells)| cells != &[None]).collect()
}

/// The text of a value, behind a byte that chooses the kind.
pub fn cell(input: &[u8]) -> Told {
    let (choice, text) = input.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(text);
    let kinds = kinds();
    let kind = &kinds[usize::from(*choice) % kinds.len()];
    let bound = Bound { base: 4 << 10, per_byte: 64 };
    match within(bound, text.len(), || input::from_text(kind, &text, &TimeZone::UTC)) {
        Err(misfit) => {
            assert!(!misfit.0.is_empty() && misfit.0.len() < 4096, "{misfit}");
            format!("{} {}", kind.name(), told(misfit))
        }
        Ok(value) => {
            check_value(kind, &text, &value);
            format!("{} {}", kind.name(), value.kind_name())
        }
    }
}

fn check_value(kind: &Kind, text: &str, value: &Value) {
    assert_eq!(read_value(&value_bytes(value)).as_ref(), Ok(value), "it is kept as it is");
    match (kind, value) {
        (Kind::Decimal { precision, scale }, Value::Decimal(number)) => {
            assert_eq!(number.scale(), *scale);
            let exact = rounded(text.trim(), *scale).unwrap_or_else(|| panic!("{text:?} was read as {number}"));
            assert_eq!(number.to_string(), exact, "{text:?} at scale {scale}");
            assert!(exact.bytes().filter(u8::is_ascii_digit).count() <= *precision as usize + 1, "{exact}");
        }
        (Kind::Integer, Value::Integer(number)) => {
            let exact = rounded(text.trim(), 40).unwrap_or_else(|| panic!("{text:?} was read as {number}"));
            let (whole, fraction) = exact.split_once('.').expect("forty digits behind the point");
            assert!(fraction.bytes().all(|digit| digit == b'0'), "{text:?} is not whole");
            assert_eq!(number.to_string(), whole.replace("-0", "0"), "{text:?}");
        }
        (Kind::Enum(_), _) => return,
        _ => {}
    }
    if !value.is_null() {
        let again = input::from_text(kind, &value.to_string(), &TimeZone::UTC);
        assert_eq!(again.as_ref(), Ok(value), "{text:?} is shown as {value} and means the same");
    }
}

/// The number in the text, rounded half away from zero behind so many digits; done digit by digit, so that nothing is
/// rounded twice. `None` where it is no number.
fn rounded(text: &str, scale: u32) -> Option<String> {
    /// No number that is kept has so many digits.
    const FAR: i64 = 100_000;
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => {
            let far = if exponent.starts_with('-') { -FAR } else { FAR };
            (digits, exponent.parse().unwrap_or(far).clamp(-FAR, FAR))
        }
        None => (text, 0),
    };
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if plain.is_empty() || !plain.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // So many digits stand before the point and behind it that all that is kept is there.
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let kept = usize::try_from(point + i64::from(scale)).ok();
    let mut number: Vec<u8> = match kept {
        Some(kept) => plain.iter().copied().chain(std::iter::repeat(b'0')).take(kept).collect(),
        None => Vec::new(),
    };
    let up = kept.and_then(|kept| plain.get(kept)).is_some_and(|digit| *digit >= b'5');
    number.splice(0..0, std::iter::repeat_n(b'0', scale as usize + 2));
    if up {
        let last = number.iter().rposition(|digit| *digit != b'9')?;
        number[last] += 1;
        number[last + 1..].fill(b'0');
    }
    let (whole, fraction) = number.split_at(number.len() - scale as usize);
    let whole = String::from_utf8(whole.to_vec()).ok()?;
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = String::from_utf8(fraction.to_vec()).ok()?;
    let negative = negative && number.iter().any(|digit| *digit != b'0');
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{}{whole}{point}{fraction}", if negative { "-" } else { "" }))
}

fn kinds() -> Vec<Kind> {
    let words = vec![EnumWord { id: EnumId(1), name: "open".into(), label: "open".into() }];
    let decimal = |precision, scale| Kind::Decimal { precision, scale };
    vec![
        decimal(10, 2),
        decimal(28, 28),
        decimal(28, 0),
        decimal(1, 1),
        Kind::Integer,
        Kind::Date,
        Kind::Datetime,
        Kind::Time,
        Kind::Float,
        Kind::Uuid,
        Kind::Json,
        Kind::String { max: 5 },
        Kind::Text,
        Kind::Bool,
        Kind::Enum(words),
        Kind::ToMany { target: EntityId(1), by: mytism_core::id::AttributeId(1) },
    ]
}

/// Sound documents.
#[must_use]
pub fn documents() -> Vec<Vec<u8>> {
    [
        r#"{"description":"d","changes":[{"new":"c1","entity":"Customer","values":{"Name":"A","Limit":12.50}},
            {"id":1000123,"values":{"City":"Bonn"},"expect":{"City":"Berlin"}},{"id":7,"delete":true}]}"#,
        r#"{"changes":[{"id":"5","values":{"A":null,"B":true,"C":{"ref":1000123,"text":"t"},"D":{"ref":"c1"},
            "E":{"ref":{"Customer":{"CustomerID":{"ref":{"A":{"B":1e999999}}}}}},"F":[{"ref":1}],
            "G":{"add":[{"ref":1}],"remove":[]},"H":12345678901234567890.10,"I":"\u00e4\ud83d\ude00"}}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Sound files of CSV.
#[must_use]
pub fn csv_files() -> Vec<Vec<u8>> {
    [
        "A,B\r\n\r\n\"x\r\ny\",\"\"\r\n3,\"4\"",
        "\u{feff}A;B\n1;\n\"a\"\"b\";2,5\n",
        "\"A;x\",B,C\n1,2,3\n,,\n",
        mytism_schema::demo::tables()[0].csv,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Sound files of JSON lines.
#[must_use]
pub fn json_line_files() -> Vec<Vec<u8>> {
    ["{\"A\":1.50,\"B\":null}\n\n{\"B\":true}", "\u{feff}{\"A\":\"\"}\r\n{\"A\":\"\\u00e4\",\"B\":1e999999}\n"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

/// Sound values of each kind.
#[must_use]
pub fn cells() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 14] = [
        (0, "19.99"),
        (0, "-0.005"),
        (0, "1e3"),
        (1, "0.1234567890123456789012345678"),
        (2, "9999999999999999999999999999"),
        (3, "0.95"),
        (4, "9223372036854775807"),
        (4, "5.0e3"),
        (5, "2026-11-23"),
        (6, "2026-11-23T03:30:00.000001+02:00"),
        (7, "e\u{301}tat"),
        (8, "K\u{f6}ln"),
        (9, "ja"),
        (10, "open"),
    ];
    texts.iter().map(|(kind, text)| [&[*kind], text.as_bytes()].concat()).collect()
}

/// Words of documents and rows.
pub const WORDS: &[&str] = &[
    "{\"changes\":[",
    "\"changes\"",
    "\"description\"",
    "\"new\":\"a\"",
    "\"entity\":\"C\"",
    "\"id\":1",
    "\"values\":{",
    "\"expect\":{",
    "\"delete\":true",
    "{\"ref\":",
    "{\"add\":[",
    "\"remove\":[",
    "\"file\"",
    "null",
    "true",
    "1.5",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\"\"",
    ";",
    "\r\n",
    "\n",
    "\r",
    "e-28",
    "e+28",
    ".",
    "-",
    "+",
    "0",
    "9",
    "5",
    "_",
    "T",
    "Z",
    "$serde_json::private::Number",
];
