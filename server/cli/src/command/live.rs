//! `query --follow`: the answer to a query, and what becomes of it.
//!
//! People see the table anew whenever it changed. Programs get what changed: a line for each splice with the rows that
//! come, and one that says up to where in the journal the rows that they then have are the answer.

use std::path::Path;

use mytism_core::operation::{Operations, Reply, Request, Splice};
use mytism_core::time::Timestamp;
use serde_json::{Value, json};

use super::objects::asked;
use crate::output::Output;
use crate::report::Trouble;
use crate::table::Rows;
use crate::{args, json, node, people};

/// `query --follow`.
pub(crate) fn query(directory: &Path, arguments: &args::Query, output: &mut Output<'_>) -> Result<(), Trouble> {
    follow(&node::running(directory)?, arguments, output)
}

fn follow(node: &dyn Operations, arguments: &args::Query, output: &mut Output<'_>) -> Result<(), Trouble> {
    let request = Request::Live(asked(arguments));
    let mut shown = Shown::default();
    node.call(request, &mut |reply| {
        shown.take(reply, output);
        output.state()
    })
    .map_err(|failure| Trouble::within(failure, &arguments.text))
}

/// The rows as they are now.
#[derive(Default)]
struct Shown {
    rows: Vec<Reply>,
    /// What is under way: where the next row goes, and what of it has come.
    splice: Option<(Splice, Vec<Reply>)>,
    has_changed: bool,
    was_told: bool,
}

impl Shown {
    fn take(&mut self, reply: Reply, output: &mut Output<'_>) {
        match reply {
            Reply::Splice(splice) => self.splice = Some((splice, Vec::new())),
            Reply::Reached(reached) if output.json => {
                output.document(&json!({"cursor": reached.cursor}));
                output.flush();
            }
            Reply::Reached(_) if self.has_changed || !self.was_told => self.show(output),
            Reply::Object(_) | Reply::Row(_) => {
                if let Some((_, rows)) = &mut self.splice {
                    rows.push(reply);
                }
            }
            _ => {}
        }
        if let Some((splice, rows)) = self.splice.take_if(|(splice, rows)| rows.len() as u64 >= splice.inserted) {
            self.carry_out(splice, rows, output);
        }
    }

    fn carry_out(&mut self, splice: Splice, rows: Vec<Reply>, output: &mut Output<'_>) {
        self.has_changed = true;
        if output.json {
            let rows: Vec<Value> = rows.iter().filter_map(document).collect();
            return output.document(&json!({"at": splice.at, "removed": splice.removed, "rows": rows}));
        }
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(self.rows.len());
        let (from, to) = (place(splice.at), place(splice.at.saturating_add(splice.removed)));
        self.rows.splice(from..to, rows);
    }

    fn show(&mut self, output: &mut Output<'_>) {
        if output.width.is_some() {
            output.redraw(|output| self.draw(output));
        } else {
            if self.was_told {
                output.line("");
            }
            self.draw(output);
            output.flush();
        }
        (self.has_changed, self.was_told) = (false, true);
    }

    fn draw(&self, output: &mut Output<'_>) {
        let now = jiff::Timestamp::now().as_microsecond();
        output.line(people::moment(Timestamp::saturating_from_micros(now)));
        let mut table = Rows::new();
        for row in self.rows.iter().cloned() {
            match row {
                Reply::Object(view) => table.object(view, output),
                Reply::Row(row) => table.row(row, output),
                _ => {}
            }
        }
        table.finish(output);
    }
}

fn document(row: &Reply) -> Option<Value> {
    match row {
        Reply::Object(view) => Some(json::object(view)),
        Reply::Row(row) => Some(json::row(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::operation::{Output as Out, Reached};

    fn row(text: &str) -> Reply {
        Reply::Row(vec![("City".to_owned(), Out::Word(text.to_owned()))])
    }

    fn splice(at: u64, removed: u64, inserted: u64) -> Reply {
        Reply::Splice(Splice { at, removed, inserted })
    }

    fn replies() -> Vec<Reply> {
        let reached = |cursor| Reply::Reached(Reached { cursor, end: cursor });
        vec![
            splice(0, 0, 2),
            row("Bonn"),
            row("Ulm"),
            reached(7),
            reached(8),
            splice(1, 1, 0),
            splice(0, 0, 1),
            row("Aachen"),
            reached(9),
        ]
    }

    fn told(json: bool) -> String {
        let mut bytes = Vec::new();
        {
            let mut output = Output::to(&mut bytes, json);
            let mut shown = Shown::default();
            replies().into_iter().for_each(|reply| shown.take(reply, &mut output));
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn people_see_the_table_whenever_it_changed() {
        let text = told(false);
        let cities = |table: &str| -> Vec<String> {
            let lines = table.lines().map(str::trim).filter(|line| ["Bonn", "Ulm", "Aachen"].contains(line));
            lines.map(str::to_owned).collect()
        };
        let tables: Vec<Vec<String>> = text.split("\n\n").map(cities).collect();
        assert_eq!(tables, [["Bonn", "Ulm"], ["Aachen", "Bonn"]], "{text}");
    }

    #[test]
    fn programs_get_what_changed() {
        let expected = [
            r#"{"at":0,"removed":0,"rows":[{"City":"Bonn"},{"City":"Ulm"}]}"#,
            r#"{"cursor":7}"#,
            r#"{"cursor":8}"#,
            r#"{"at":1,"removed":1,"rows":[]}"#,
            r#"{"at":0,"removed":0,"rows":[{"City":"Aachen"}]}"#,
            r#"{"cursor":9}"#,
        ];
        assert_eq!(told(true).lines().collect::<Vec<_>>(), expected);
    }
}
