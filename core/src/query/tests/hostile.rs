//! Whatever is written, it is answered soon, and a refusal stands on a place in the text.

use proptest::prelude::*;

use super::*;

const VALID: [&str; 5] = [
    "select o.Customer.City as c, count(*), sum(o.Total) from Order o where o.Paid = true and o.Total > 19.99 \
     group by c order by c desc limit 10 offset 5",
    "from Contact a where a.City in ('Köln', \"Bonn\", null) or not (a.City ilike '%stra\\_ße%')",
    "from Order `order` where `order`.Number between 1 and 1e3 and `order`.Customer = 'ALFKI'",
    "from Person where Boss.Boss.Boss.id != 5 and Boss is not null",
    "select max(Date), avg(Number) from Order where State <> 'open' and Shipped < '2026-01-01T00:00:00Z'",
];

const WORDS: [&str; 40] = [
    "select", "from", "where", "group", "by", "order", "limit", "offset", "as", "desc", "and", "or", "not", "in",
    "between", "like", "is", "null", "true", "Order", "Contact", "City", "Customer", "Total", "Paid", "id", "(", ")",
    ",", ".", "=", "<", "-", "*", "5", "1.5", "'x'", "$p", "count", "`a b`",
];

/// Parses, and holds a refusal against the text.
fn survive(text: &str) -> Result<(), TestCaseError> {
    let params = [("p".to_owned(), Input::Number("5".to_owned()))];
    if let Err(error) = parse(text, &shop(), &params, &TimeZone::UTC) {
        let line = text.lines().nth((error.line as usize).saturating_sub(1)).unwrap_or_default();
        let within = error.column as usize <= line.chars().count() + 1;
        prop_assert!(error.line == 0 || (within && error.length >= 1), "{:?}", error);
        for length in [error.length, 0] {
            let marked = render_caret(text, error.line, error.column, length).contains('^');
            prop_assert!(marked == (error.line != 0 && !text.is_empty()) || line.is_empty(), "{:?}", error);
        }
    }
    Ok(())
}

#[test]
fn the_valid_ones_are_valid() {
    for text in VALID {
        assert!(parse(text, &shop(), &[], &TimeZone::UTC).is_ok(), "{text}");
    }
}

#[test]
fn what_grows_is_bounded() {
    let check = |text: String, expected: &str| {
        let started = std::time::Instant::now();
        let result = parse(&text, &shop(), &[], &TimeZone::UTC);
        assert_eq!(result.map_or_else(|error| error.code, |_| "fine"), expected, "{}", &text[..60]);
        assert!(started.elapsed().as_secs() < 5, "{} took {:?}", &text[..60], started.elapsed());
    };
    let wrapped = |open: &str, close: &str, depth| format!("{}Paid{}", open.repeat(depth), close.repeat(depth));
    check(format!("from Order where {}", wrapped("(", " in (Paid, Paid))", 60)), "query-too-large");
    check(format!("from Order where Total in (1{})", ", 1".repeat(9_999)), "fine");
    check(format!("from Order where Total in (1{})", ", 1".repeat(10_000)), "query-too-large");
    check(format!("from Order where Paid{}", " or Paid".repeat(8_000)), "fine");
    check(format!("from Person where {}City = 'x'", "Boss.".repeat(59)), "fine");
    check(format!("from Person where {}City = 'x'", "Boss.".repeat(60)), "query-too-large");
    check(format!("from Person where {}City = 'x'", "Boss.".repeat(13_000)), "query-too-large");
    check(format!("from Order where Total = {}", "1".repeat(60_000)), "type-mismatch");
    check(format!("from Order where Total = 1e{}", "9".repeat(60_000)), "type-mismatch");
    check(format!("{}from Order", " ".repeat(TEXT_MAX)), "query-too-large");
    let large = format!("true{}", " or true".repeat(6_000));
    check(format!("select {large} as x from Order order by x{}", ", x".repeat(400)), "query-too-large");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}") {
        survive(&text)?;
    }

    #[test]
    fn any_characters_are_answered(text in "[ -~\\n\\t\\r\\x00äß😀“`'\"$]{0,60}") {
        survive(&text)?;
    }

    #[test]
    fn any_words_are_answered(words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 0..25)) {
        survive(&words.join(" "))?;
        survive(&format!("from Order where {}", words.join(" ")))?;
    }

    #[test]
    fn any_change_of_a_valid_query_is_answered(
        text in prop::sample::select(VALID.as_slice()),
        at in any::<prop::sample::Index>(),
        length in 0usize..6,
        other in "[a-zA-Z0-9 .,()'\"`$=<>!*ß-]{0,4}",
    ) {
        let characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        let changed: String =
            characters[..start].iter().copied().chain(other.chars()).chain(characters[end..].iter().copied()).collect();
        survive(&changed)?;
    }
}
