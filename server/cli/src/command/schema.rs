//! `schema plan` and `schema apply`: the schema of a project changed while its node runs.
//!
//! The files are read here, so that their problems are told with their lines; the node knows the data.

use std::path::Path;

use mytism_app::schema_change::{proposal, told};
use mytism_core::failure::Failure;
use mytism_core::operation::{Operations, Output as Out, Reply, Request, Saved, SchemaLine};

use super::objects::show_saved;
use super::{Verdict, one};
use crate::args::{self, SchemaCommand};
use crate::json;
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::table::Rows;
use crate::words::{Words, fill};

/// `schema plan` and `schema apply`.
pub(crate) fn run(
    node: &dyn Operations,
    arguments: &args::Schema,
    output: &mut Output<'_>,
) -> Result<Verdict, Trouble> {
    let (file, apply) = match &arguments.command {
        SchemaCommand::Plan(arguments) => (&arguments.file, None),
        SchemaCommand::Apply(arguments) => (&arguments.file, Some(arguments.yes)),
    };
    let (request, lines) = planned(node, file)?;
    let is_blocked = lines.iter().any(is_in_the_way);
    let Some(yes) = apply else {
        show(&lines, output);
        return Ok(if is_blocked { Verdict::Found } else { Verdict::Done });
    };
    if is_blocked || (!yes && lines.iter().any(|line| line.action == "drop")) {
        show(&lines, output);
    }
    if !is_blocked && !yes {
        confirm(&lines)?;
    }
    let saved = applied(node, request)?;
    if !output.json {
        show(&lines, output);
    }
    if output.json {
        output.document(&json::saved(&saved));
    } else if saved.transaction.is_some() {
        show_saved(&saved, output);
    }
    Ok(Verdict::Done)
}

/// What asks the node to apply the schema of a file, and what that would do.
fn planned(node: &dyn Operations, file: &Path) -> Result<(Request, Vec<SchemaLine>), Failure> {
    let held = one(node, Request::Schema, |reply| match reply {
        Reply::Schema { schema } => Some(schema),
        _ => None,
    })?;
    let previous = told(&held).map_err(|error| error.failure())?;
    let next = mytism_schema::project_after(&previous, file).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::failed("schema-error", lines.join("\n"))
    })?;
    let request = |apply| proposal(&held, &next, apply).map_err(|error| error.failure());
    let mut lines = Vec::new();
    node.call(request(false)?, &mut |reply| {
        if let Reply::SchemaStep(line) = reply {
            lines.push(*line);
        }
        Ok(())
    })?;
    Ok((request(true)?, lines))
}

fn applied(node: &dyn Operations, request: Request) -> Result<Saved, Failure> {
    one(node, request, |reply| match reply {
        Reply::Saved(saved) => Some(saved),
        _ => None,
    })
}

/// What is dropped leaves the tables, so somebody must mean it.
fn confirm(lines: &[SchemaLine]) -> Result<(), Failure> {
    let dropped: Vec<&str> = lines.iter().filter(|line| line.action == "drop").map(|line| line.name.as_str()).collect();
    if dropped.is_empty() {
        return Ok(());
    }
    let message = format!("the schema was not changed, since it would drop {}", dropped.join(", "));
    Err(Failure::refused("not-confirmed", message).hint("add --yes; what is dropped is kept aside in the database"))
}

fn is_in_the_way(line: &SchemaLine) -> bool {
    line.in_the_way > 0 || line.impossible.is_some()
}

fn show(lines: &[SchemaLine], output: &mut Output<'_>) {
    if output.json {
        lines.iter().for_each(|line| output.document(&json::schema_line(line)));
        return;
    }
    if lines.is_empty() {
        output.line(output.words.schema_same);
        return;
    }
    let mut rows = Rows::new();
    for line in lines {
        rows.row(row(line, output.words), output);
    }
    rows.finish(output);
    for line in lines.iter().filter(|line| is_in_the_way(line)) {
        obstacles(line, output);
    }
}

fn row(line: &SchemaLine, words: &Words) -> Vec<(String, Out)> {
    let word = |name: &str, word: &str| (name.to_owned(), Out::Word(word.to_owned()));
    let action = match line.action.as_str() {
        "add" => words.schema_add,
        "rename" => words.schema_rename,
        "widen" => words.schema_widen,
        "narrow" => words.schema_narrow,
        "drop" => words.schema_drop,
        other => other,
    };
    let way = if line.in_the_way == 0 { String::new() } else { words.count(line.in_the_way) };
    vec![
        word(words.schema_step, action),
        word(words.name, &line.name),
        word(words.schema_from, &line.from),
        word(words.schema_to, &line.to),
        word(words.schema_in_the_way, &way),
    ]
}

/// Why a step cannot be done, and the objects that are in the way.
fn obstacles(line: &SchemaLine, output: &mut Output<'_>) {
    let words = output.words;
    let why = match line.impossible.as_deref() {
        Some("other-type") => words.schema_other_type,
        Some("other-parent") => words.schema_other_parent,
        Some("becomes-abstract") => words.schema_becomes_abstract,
        Some("other-entity") => words.schema_other_entity,
        Some("id-given-before") => words.schema_id_given_before,
        Some(other) => other,
        None => words.schema_does_not_fit,
    };
    output.line(format!("{}: {why}", harmless(&line.name)));
    for object in &line.objects {
        let holds = [&object.object.get() as &dyn std::fmt::Display, &harmless(&object.text), &harmless(&object.value)];
        output.line(format!("  {}", fill(words.schema_object, &holds)));
    }
    let more = line.in_the_way.saturating_sub(line.objects.len() as u64);
    if more > 0 {
        output.line(format!("  {}", fill(words.schema_more, &[&words.count(more)])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{ApplySchema, PlanSchema};
    use crate::command::fake::Fake;
    use mytism_core::id::ObjectId;
    use mytism_core::operation::ObstacleObject;

    const SHOP: &str = "<Schema name='shop'><Entity name='A'><Attribute name='b' type='text'/></Entity></Schema>";

    fn step(action: &str, in_the_way: u64) -> Reply {
        let object = ObstacleObject { object: ObjectId::new(7).unwrap(), text: "Anna".into(), value: "long".into() };
        Reply::SchemaStep(Box::new(SchemaLine {
            action: action.into(),
            name: "A.b".into(),
            from: "text".into(),
            to: "string(3)".into(),
            impossible: None,
            in_the_way,
            objects: vec![object; usize::from(in_the_way > 0)],
        }))
    }

    /// What a command answers where the node says that these steps lead there; and whether it applied them.
    fn done(command: &str, json: bool, steps: Vec<Reply>) -> (String, Result<Verdict, String>, bool) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("shop.xml");
        std::fs::write(&file, SHOP).unwrap();
        let held = mytism_schema::project(Some(&file)).unwrap();
        let Request::ChangeSchema { schema, .. } = proposal(&[], &held, false).unwrap() else { panic!() };
        let node = Fake::new(move |request| match request {
            Request::Schema => Ok(vec![Reply::Schema { schema: schema.clone() }]),
            Request::ChangeSchema { apply: false, .. } => Ok(steps.clone()),
            Request::ChangeSchema { apply: true, .. }
                if steps.iter().any(|step| matches!(step, Reply::SchemaStep(line) if line.in_the_way > 0)) =>
            {
                Err(Failure::refused("schema-does-not-fit", "no"))
            }
            _ => {
                Ok(vec![Reply::Saved(Saved { transaction: None, position: Some(9), pending: false, ids: Vec::new() })])
            }
        });
        let command = match command {
            "plan" => SchemaCommand::Plan(PlanSchema { file }),
            yes => SchemaCommand::Apply(ApplySchema { file, yes: yes == "apply --yes" }),
        };
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        let verdict = run(&node, &args::Schema { command }, &mut output).map_err(|trouble| trouble.failure.code);
        output.finish().unwrap();
        let applied =
            node.asked.borrow().iter().any(|asked| matches!(asked, Request::ChangeSchema { apply: true, .. }));
        (String::from_utf8(bytes).unwrap(), verdict, applied)
    }

    #[test]
    fn a_plan_tells_what_is_in_the_way() {
        let (text, verdict, applied) = done("plan", false, vec![step("narrow", 3), step("add", 0)]);
        assert_eq!((verdict, applied), (Ok(Verdict::Found), false));
        for part in ["narrow", "A.b", "string(3)", "object 7 Anna holds \"long\"", "and 2 more"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (text, verdict, _) = done("plan", true, vec![step("narrow", 3)]);
        assert_eq!(verdict, Ok(Verdict::Found));
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["action"], &line["in_the_way"]), (&"narrow".into(), &3.into()));
        assert_eq!(line["objects"][0]["id"], 7);
        let (text, verdict, _) = done("plan", false, vec![]);
        assert_eq!((verdict, text.lines().count()), (Ok(Verdict::Done), 1));
    }

    #[test]
    fn what_drops_something_wants_a_yes() {
        let (_, verdict, applied) = done("apply", false, vec![step("drop", 0)]);
        assert_eq!((verdict, applied), (Err("not-confirmed".to_owned()), false));
        let (_, verdict, applied) = done("apply --yes", false, vec![step("drop", 0)]);
        assert_eq!((verdict, applied), (Ok(Verdict::Done), true));
        let (_, verdict, applied) = done("apply", false, vec![step("add", 0)]);
        assert_eq!((verdict, applied), (Ok(Verdict::Done), true));
        let (text, verdict, _) = done("apply", false, vec![step("narrow", 1)]);
        assert_eq!(verdict, Err("schema-does-not-fit".to_owned()));
        assert!(text.contains("object 7"), "{text}");
    }
}
