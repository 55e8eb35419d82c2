//! `recover`: for whom a head office waits whose database was put back, and going on without some.

use mytism_core::operation::{Operations, Reply, Request};
use serde_json::json;

use super::one;
use crate::args;
use crate::output::Output;
use crate::report::Trouble;
use crate::words::fill;
use crate::{people, program};

/// `recover`.
pub(crate) fn recover(
    node: &dyn Operations,
    arguments: &args::Recover,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    let request = Request::Recover { begin: arguments.begin, without: arguments.without.clone() };
    let (waits, missing, epoch) = one(node, request, |reply| match reply {
        Reply::Recovery { waits, missing, epoch } => Some((waits, missing, epoch)),
        _ => None,
    })?;
    let words = output.words;
    if output.json {
        let state = if waits { "recovering" } else { "ruling" };
        output.document(&json!({"state": state, "waits_for": missing, "epoch": epoch}));
    } else if waits {
        output.line(fill(words.waits_for, &[&people::named(&missing)]));
        output.line(fill(words.go_on_without, &[&program()]));
    } else {
        output.line(fill(words.waits_for_nobody, &[&epoch]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake::Fake;

    fn written(json: bool, waits: bool, missing: &[&str], arguments: &args::Recover) -> (String, Vec<Request>) {
        let missing: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
        let node = Fake::new(|_| Ok(vec![Reply::Recovery { waits, missing: missing.clone(), epoch: 2 }]));
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        recover(&node, arguments, &mut output).unwrap();
        output.finish().unwrap();
        (String::from_utf8(bytes).unwrap(), node.asked.into_inner())
    }

    #[test]
    fn those_that_are_missing_are_listed() {
        let look = args::Recover { begin: false, without: Vec::new() };
        let (text, asked) = written(false, true, &["berlin", "bonn\u{7}"], &look);
        assert!(text.starts_with("waits for berlin, bonn·\ngoing on without one: "), "{text}");
        assert_eq!(asked, [Request::Recover { begin: false, without: Vec::new() }]);
        assert_eq!(written(false, false, &[], &look).0, "nothing to wait for; reign 2\n");
        let (text, _) = written(true, true, &["berlin"], &look);
        assert_eq!(text, "{\"state\":\"recovering\",\"waits_for\":[\"berlin\"],\"epoch\":2}\n");
    }

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let arguments = args::Recover { begin: true, without: vec!["bonn".into()] };
        let (text, asked) = written(true, false, &[], &arguments);
        assert_eq!(text, "{\"state\":\"ruling\",\"waits_for\":[],\"epoch\":2}\n");
        assert_eq!(asked, [Request::Recover { begin: true, without: vec!["bonn".into()] }]);
    }
}
