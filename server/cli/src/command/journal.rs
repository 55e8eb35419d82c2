//! What became visible at the node, followed line by line, and who follows it under a name.

use std::path::Path;

use mytism_core::operation::{ChangesRequest, FollowerLine, Operations, Output as Out, Reached, Reply, Request};
use mytism_core::value::Value;

use super::{one, unclear};
use crate::args::FollowersCommand;
use crate::output::Output;
use crate::report::Trouble;
use crate::table::Rows;
use crate::words::fill;
use crate::{args, json, node, people};

/// Rows of the journal that are asked for at once.
const ROWS: u32 = 1_000;

/// `changes`.
pub(crate) fn changes(directory: &Path, arguments: &args::Changes, output: &mut Output<'_>) -> Result<(), Trouble> {
    // Where no node runs, nothing becomes visible that could be waited for.
    let node: Box<dyn Operations> =
        if arguments.follow { Box::new(node::running(directory)?) } else { node::open(directory)? };
    follow(&*node, arguments, output)
}

/// Asks for part after part. The cursor of a name moves when its lines have been handed on, so whoever is cut off sees
/// some of them again and misses none.
fn follow(node: &dyn Operations, arguments: &args::Changes, output: &mut Output<'_>) -> Result<(), Trouble> {
    let mut request = ChangesRequest {
        follower: arguments.name.clone(),
        after: arguments.after,
        from_now: arguments.from_now,
        rows: ROWS,
        wait: arguments.follow,
    };
    let mut goal = None;
    let mut count = 0u64;
    loop {
        let Some((first, reached)) = part(node, &request, output, &mut count)? else { return Ok(()) };
        if let (Some(follower), Some(first)) = (&request.follower, first) {
            let passed = Request::Passed { follower: follower.clone(), from: first - 1, to: reached.cursor };
            one(node, passed, |reply| matches!(reply, Reply::Reached(_)).then_some(()))?;
        }
        if !arguments.follow && reached.cursor >= *goal.get_or_insert(reached.end) {
            break;
        }
        (request.after, request.from_now) = (Some(reached.cursor), false);
    }
    if count == 0 && !output.json {
        output.line(output.words.no_changes);
    }
    Ok(())
}

/// Shows some rows. Returns the first of them, and how far it got; `None` where nobody reads any longer.
fn part(
    node: &dyn Operations,
    request: &ChangesRequest,
    output: &mut Output<'_>,
    count: &mut u64,
) -> Result<Option<(Option<u64>, Reached)>, Trouble> {
    let (mut first, mut reached) = (None, None);
    node.call(Request::Changes(request.clone()), &mut |reply| {
        match reply {
            Reply::Change(line) => {
                first.get_or_insert(line.sequence);
                *count += 1;
                if output.json {
                    output.document(&json::change(&line));
                } else {
                    people::change(&line, output);
                }
            }
            Reply::Reached(found) => reached = Some(found),
            _ => {}
        }
        output.state()
    })?;
    output.flush();
    if output.state().is_err() {
        return Ok(None);
    }
    Ok(Some((first, reached.ok_or_else(unclear)?)))
}

/// `followers` and `followers remove`.
pub(crate) fn followers(
    node: &dyn Operations,
    arguments: &args::Followers,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    if let Some(FollowersCommand::Remove(arguments)) = &arguments.command {
        return remove(node, &arguments.name, output);
    }
    let mut rows = Rows::new();
    let mut count = 0u64;
    node.call(Request::Followers, &mut |reply| {
        if let Reply::Follower(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::follower(&line));
            } else {
                rows.row(row(line, output), output);
            }
        }
        output.state()
    })?;
    match (output.json, count) {
        (true, _) => {}
        (false, 0) => output.line(output.words.no_followers),
        (false, _) => rows.finish(output),
    }
    Ok(())
}

fn row(line: FollowerLine, output: &Output<'_>) -> Vec<(String, Out)> {
    let words = output.words;
    let number = |name: &str, number: u64| {
        (name.to_owned(), Out::Value(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))))
    };
    vec![
        (words.name.to_owned(), Out::Word(line.name)),
        number(words.cursor, line.cursor),
        number(words.rows_behind, line.behind),
        (words.moved.to_owned(), Out::Value(Value::Datetime(line.moved))),
    ]
}

fn remove(node: &dyn Operations, name: &str, output: &mut Output<'_>) -> Result<(), Trouble> {
    let removed = one(node, Request::RemoveFollower { follower: name.to_owned() }, |reply| match reply {
        Reply::Follower(line) => Some(line),
        _ => None,
    })?;
    if output.json {
        output.document(&json::follower(&removed));
    } else {
        output.line(fill(output.words.follower_removed, &[&removed.name, &output.words.count(removed.cursor)]));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
