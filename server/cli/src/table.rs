//! Rows as a table for people, with constant memory: the first rows decide on the columns and their widths, all others
//! follow that.
//!
//! On a terminal only columns that fit are shown, and long cells are cut; in a file or pipe everything is. Knows no
//! command.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use mytism_core::operation::{ObjectView, Output as Out};
use mytism_core::value::Value;

use crate::output::{Output, harmless};
use crate::people;
use crate::words::fill;

/// So many rows are looked at before the first is shown.
const ROWS_AT_ONCE: usize = 500;
/// A cell on a terminal is at most so wide.
const CELL_WIDTH_MAX: u16 = 48;
/// Down to this width cells are cut before a column is left out; a moment fits.
const CELL_WIDTH_MIN: u16 = 20;
/// Blanks between two columns.
const GAP: u16 = 2;

/// A table that is filled row by row.
pub(crate) struct Rows {
    waiting: Vec<Vec<(String, Out)>>,
    columns: Option<Vec<Column>>,
    left_out: Vec<String>,
    count: u64,
    pending: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Column {
    name: String,
    is_number: bool,
    /// `None` where nothing is cut.
    width: Option<u16>,
}

impl Rows {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self { waiting: Vec::new(), columns: None, left_out: Vec::new(), count: 0, pending: false }
    }

    /// A row with an object; its id and, where there are several, its entity come first.
    pub(crate) fn object(&mut self, view: ObjectView, output: &mut Output<'_>) {
        let mark = if view.pending { " *" } else { "" };
        self.pending |= view.pending;
        let head = [
            ("ID".to_owned(), Out::Word(format!("{}{mark}", view.id))),
            (output.words.entity.to_owned(), Out::Word(view.entity)),
        ];
        self.row(head.into_iter().chain(view.values).collect(), output);
    }

    /// A row.
    pub(crate) fn row(&mut self, row: Vec<(String, Out)>, output: &mut Output<'_>) {
        self.count += 1;
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_AT_ONCE {
            self.show(output);
        }
    }

    /// Shows what is left, and how many rows there were.
    pub(crate) fn finish(mut self, output: &mut Output<'_>) {
        let words = output.words;
        if self.count == 0 {
            return output.line(words.nothing_found);
        }
        self.show(output);
        output.line(fill(words.rows, &[&words.count(self.count)]));
        if self.pending {
            output.line(words.pending_mark);
        }
        if !self.left_out.is_empty() {
            let (count, names) = (self.left_out.len(), self.left_out.join(", "));
            output.line(fill(words.not_shown, &[&count, &harmless(&names)]));
        }
    }

    fn show(&mut self, output: &mut Output<'_>) {
        let rows = std::mem::take(&mut self.waiting);
        let is_first = self.columns.is_none();
        let columns = self.columns.take().unwrap_or_else(|| {
            let (columns, left_out) = lay_out(&rows, output);
            self.left_out = left_out;
            columns
        });
        if !rows.is_empty() {
            output.text(&render(&columns, &rows, is_first, output));
        }
        self.columns = Some(columns);
    }
}

/// The columns that are shown and the names of those that do not fit.
fn lay_out(rows: &[Vec<(String, Out)>], output: &Output<'_>) -> (Vec<Column>, Vec<String>) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    // Where all objects are of one entity, the query says which.
    let entity = output.words.entity;
    let is_object = rows.first().and_then(|row| row.get(1)).is_some_and(|(name, _)| name == entity);
    let first_entity = rows.first().and_then(|row| find(row, entity));
    if is_object && rows.iter().all(|row| find(row, entity) == first_entity) {
        names.retain(|name| *name != entity);
    }
    let all: Vec<Column> = names.iter().map(|name| column(name, rows)).collect();
    let Some(width) = output.width else { return (all, Vec::new()) };
    let widths = table(&all, rows, true, output).column_max_content_widths();
    let widths = fit(widths.into_iter().map(|width| width.min(CELL_WIDTH_MAX)).collect(), width);
    let left_out = all.iter().skip(widths.len()).map(|column| column.name.clone()).collect();
    let shown = all.into_iter().zip(widths).map(|(column, width)| Column { width: Some(width), ..column });
    (shown.collect(), left_out)
}

/// Makes the widest columns narrower until all fit; where that is not enough, the last ones are left out.
fn fit(mut widths: Vec<u16>, available: u16) -> Vec<u16> {
    let needed =
        |widths: &[u16]| widths.iter().map(|width| u32::from(width + GAP)).sum::<u32>().saturating_sub(u32::from(GAP));
    while needed(&widths) > u32::from(available) {
        let least = if widths.len() > 1 { CELL_WIDTH_MIN } else { 1 };
        if let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > least) {
            *widest -= 1;
        } else if widths.len() > 1 {
            widths.pop();
        } else {
            break;
        }
    }
    widths
}

fn find<'r>(row: &'r [(String, Out)], name: &str) -> Option<&'r Out> {
    row.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn column(name: &str, rows: &[Vec<(String, Out)>]) -> Column {
    let mut values = rows.iter().filter_map(|row| find(row, name)).filter(|value| **value != Out::Value(Value::Null));
    let is_number = |value: &Out| matches!(value, Out::Value(Value::Integer(_) | Value::Decimal(_)));
    let first = values.next().is_some_and(is_number);
    Column { name: name.to_owned(), is_number: first && values.all(is_number), width: None }
}

fn table(columns: &[Column], rows: &[Vec<(String, Out)>], header: bool, output: &Output<'_>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if output.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if header {
        let bold = |column: &Column| Cell::new(harmless(&column.name)).add_attribute(Attribute::Bold);
        table.set_header(flat(columns.iter().map(bold).collect()));
    }
    for row in rows {
        let cells =
            columns.iter().map(|column| Cell::new(find(row, &column.name).map(people::cell).unwrap_or_default()));
        table.add_row(flat(cells.collect()));
    }
    table
}

/// A row of one line.
fn flat(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn render(columns: &[Column], rows: &[Vec<(String, Out)>], header: bool, output: &Output<'_>) -> String {
    let mut table = table(columns, rows, header, output);
    for (settings, column) in columns.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, GAP));
        // Cells are cut where the width ends, not at a blank before it: this character is in no cell.
        column.set_delimiter('\u{0}');
        if settings.is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let Some(width) = settings.width {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + GAP)));
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::id::ObjectId;

    fn shown(width: Option<u16>, rows: &[&[(&str, Out)]]) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, false);
        output.width = width;
        let mut table = Rows::new();
        for row in rows {
            table.row(row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(), &mut output);
        }
        table.finish(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn text(text: &str) -> Out {
        Out::Value(Value::from(text))
    }

    fn number(number: i64) -> Out {
        Out::Value(Value::Integer(number))
    }

    #[test]
    fn numbers_stand_right_and_texts_left() {
        let rows: [&[(&str, Out)]; 2] =
            [&[("City", text("Köln")), ("n", number(3))], &[("City", text("東京")), ("n", number(1200))]];
        assert_eq!(shown(None, &rows), "City     n\nKöln     3\n東京  1200\n2 rows\n");
    }

    #[test]
    fn what_does_not_fit_is_cut_or_left_out_and_said() {
        let long = "x".repeat(100);
        let row: &[(&str, Out)] = &[("A", text(&long)), ("B", text(&long)), ("C", text(&long))];
        let shown_at = |width| shown(Some(width), &[row]);
        let check = |width: u16, expected: &str| {
            let shown = shown_at(width);
            assert!(shown.lines().take(2).all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{shown}");
            assert!(shown.contains(expected), "{width}:\n{shown}");
        };
        check(80, "1 row\n");
        check(42, "1 more column: C; --json shows all");
        check(5, "2 more columns: B, C");
        assert!(shown_at(42).contains("xxxxxxxxxxxxxxxxxxx…"), "{}", shown_at(42));
        assert!(shown(None, &[row]).contains(&long));
        let blanks = shown(Some(14), &[&[("A", text("one two three four"))]]);
        assert!(blanks.contains("one two three…"), "{blanks}");
    }

    #[test]
    fn widths_shrink_from_the_widest() {
        let check =
            |widths: &[u16], available: u16, expected: &[u16]| assert_eq!(fit(widths.to_vec(), available), expected);
        check(&[5, 5], 12, &[5, 5]);
        check(&[5, 40], 37, &[5, 30]);
        check(&[20, 20, 20], 63, &[20, 20]);
        check(&[19, 40, 20], 63, &[19, 20, 20]);
        check(&[12], 5, &[5]);
        check(&[12], 0, &[1]);
        check(&[], 5, &[]);
    }

    #[test]
    fn objects_show_their_entity_only_where_they_differ() {
        let object = |number: i64, entity: &str, pending| ObjectView {
            id: ObjectId::new(number).unwrap(),
            entity: entity.into(),
            values: vec![("Name".into(), text("N"))],
            pending,
            detail: None,
        };
        let check = |views: Vec<ObjectView>, expected: &str| {
            let mut bytes = Vec::new();
            let mut output = Output::to(&mut bytes, false);
            let mut table = Rows::new();
            views.into_iter().for_each(|view| table.object(view, &mut output));
            table.finish(&mut output);
            output.finish().unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        };
        check(vec![object(7, "A", false)], "ID  Name\n7   N\n1 row\n");
        check(
            vec![object(7, "A", false), object(8, "B", true)],
            "ID   Entity  Name\n7    A       N\n8 *  B       N\n2 rows\n* the head office has not decided yet\n",
        );
        check(Vec::new(), "nothing found\n");
    }

    #[test]
    fn later_rows_follow_the_first() {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, false);
        output.width = Some(20);
        let mut table = Rows::new();
        for _ in 0..ROWS_AT_ONCE {
            table.row(vec![("A".to_owned(), text("short"))], &mut output);
        }
        table.row(vec![("A".to_owned(), text("much longer"))], &mut output);
        table.finish(&mut output);
        output.finish().unwrap();
        let shown = String::from_utf8(bytes).unwrap();
        assert!(shown.ends_with("\nshort\nmuch…\n501 rows\n"), "{shown:?}");
    }
}
