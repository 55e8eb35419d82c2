//! Rows in a flat file, group by group: number of rows (u32 big-endian), then for each row its table (u8), its number of
//! values (u8) and the values, each a byte that names its kind with what belongs to it. The file lives as long as one
//! measurement, so the form has no version. Knows no SQL.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use rusqlite::types::Value as Sql;

/// A row with the place of its table in the replay's list.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) table: u8,
    pub(super) values: Vec<Sql>,
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Appends a group.
///
/// # Errors
/// When the file cannot be written, or a row is too large for the form.
pub(super) fn write(to: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    to.write_all(&length(rows.len())?)?;
    for row in rows {
        let count = u8::try_from(row.values.len()).map_err(|_| too_large())?;
        to.write_all(&[row.table, count])?;
        for value in &row.values {
            write_value(to, value)?;
        }
    }
    Ok(())
}

fn write_value(to: &mut impl Write, value: &Sql) -> io::Result<()> {
    match value {
        Sql::Null => to.write_all(&[NULL]),
        Sql::Integer(number) => {
            to.write_all(&[INTEGER])?;
            to.write_all(&number.to_be_bytes())
        }
        Sql::Real(number) => {
            to.write_all(&[REAL])?;
            to.write_all(&number.to_be_bytes())
        }
        Sql::Text(text) => write_bytes(to, TEXT, text.as_bytes()),
        Sql::Blob(bytes) => write_bytes(to, BLOB, bytes),
    }
}

fn write_bytes(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&length(bytes.len())?)?;
    to.write_all(bytes)
}

fn length(length: usize) -> io::Result<[u8; 4]> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "a row is too large for the flat file")
}

/// Reads the next group in the place of what is in `rows`; `false` at the end of the file.
///
/// # Errors
/// When the file cannot be read, or ends within a group.
pub(super) fn read(from: &mut impl BufRead, rows: &mut Vec<Row>) -> io::Result<bool> {
    rows.clear();
    if from.fill_buf()?.is_empty() {
        return Ok(false);
    }
    for _ in 0..u32::from_be_bytes(array(from)?) {
        let [table, count] = array(from)?;
        let values = (0..count).map(|_| read_value(from)).collect::<io::Result<_>>()?;
        rows.push(Row { table, values });
    }
    Ok(true)
}

fn read_value(from: &mut impl Read) -> io::Result<Sql> {
    let invalid = |message| io::Error::new(ErrorKind::InvalidData, message);
    Ok(match array(from)? {
        [NULL] => Sql::Null,
        [INTEGER] => Sql::Integer(i64::from_be_bytes(array(from)?)),
        [REAL] => Sql::Real(f64::from_be_bytes(array(from)?)),
        [TEXT] => Sql::Text(String::from_utf8(read_bytes(from)?).map_err(|_| invalid("the flat file is damaged"))?),
        [BLOB] => Sql::Blob(read_bytes(from)?),
        [_] => return Err(invalid("the flat file is damaged")),
    })
}

fn read_bytes(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = u32::from_be_bytes(array(from)?);
    let mut bytes = Vec::new();
    // Only as much is set aside as there is to read, whatever the length says.
    if from.take(u64::from(length)).read_to_end(&mut bytes)? < length as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<Vec<Row>> {
        let row = |table, values| Row { table, values };
        vec![
            vec![
                row(0, vec![Sql::Null, Sql::Integer(i64::MIN), Sql::Real(-0.5)]),
                row(255, vec![Sql::Text("Köln".into()), Sql::Blob(vec![0; 70_000])]),
            ],
            Vec::new(),
            vec![row(1, Vec::new()), row(1, vec![Sql::Text(String::new()), Sql::Blob(Vec::new())])],
        ]
    }

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        groups().iter().for_each(|group| write(&mut bytes, group).unwrap());
        bytes
    }

    #[test]
    fn groups_come_back() {
        let bytes = written();
        let mut from = bytes.as_slice();
        let mut rows = vec![Row { table: 9, values: Vec::new() }];
        for group in groups() {
            assert!(read(&mut from, &mut rows).unwrap());
            assert_eq!(rows, group);
        }
        assert!(!read(&mut from, &mut rows).unwrap());
    }

    #[test]
    fn a_file_that_is_cut_off_is_noticed() {
        let mut first = Vec::new();
        write(&mut first, &groups()[0]).unwrap();
        for end in 1..first.len().min(400) {
            assert!(read(&mut &first[..end], &mut Vec::new()).is_err(), "{end}");
        }
        assert!(read(&mut &first[..first.len() - 1], &mut Vec::new()).is_err());
        let unknown = [0, 0, 0, 1, 0, 1, 9];
        assert!(read(&mut unknown.as_slice(), &mut Vec::new()).is_err());
    }

    #[test]
    fn a_row_that_is_too_wide_is_refused() {
        let row = |values: usize| Row { table: 0, values: vec![Sql::Null; values] };
        assert!(write(&mut Vec::new(), &[row(255)]).is_ok());
        assert!(write(&mut Vec::new(), &[row(256)]).is_err());
    }
}
