//! What must hold for every condition: the engine takes it, and it is true, false or nothing for each object.

use proptest::prelude::*;

use super::*;

/// Conditions over orders that fit the schema.
fn condition() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec![
        "Total",
        "Weight",
        "Number",
        "Seller.Seats",
        "id",
        "20",
        "19.99",
        "19.995",
        "-5",
        "1e20",
    ]);
    let text = prop::sample::select(vec![
        "Customer.City",
        "Customer.Code",
        "Seller.City",
        "'Berlin'",
        "'B_r%'",
        "'😀'",
        "''",
        "null",
    ]);
    let sign = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (number.clone(), sign.clone(), number.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        (text.clone(), sign, text.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        (number.clone(), number.clone(), number.clone()).prop_map(|(a, b, c)| format!("{a} between {b} and {c}")),
        (number.clone(), prop::collection::vec(number, 1..4))
            .prop_map(|(a, list)| format!("{a} in ({})", list.join(", "))),
        (text.clone(), text, any::<bool>())
            .prop_map(|(a, b, blind)| format!("{a} {} {b}", if blind { "ilike" } else { "like" })),
        prop::sample::select(vec![
            "Paid",
            "true",
            "null",
            "Customer = 'ALFKI'",
            "Customer in (4, 'BEA', null)",
            "Seller is null",
            "State != 'open'",
            "Date >= '1996-07-04'",
            "Shipped < '1996-07-05'",
            "Customer = Seller",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" or "))),
            inner.clone().prop_map(|inner| format!("not ({inner})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) = ({b})")),
        ]
    })
}

fn ids(schema: &Schema, connection: &Connection, text: &str) -> Result<Vec<String>, TestCaseError> {
    let query =
        parse(text, schema, &[], &TimeZone::UTC).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    let compiled = compile(&query, schema, &Names::new(schema), QueryOptions::default());
    let shown = run(connection, &compiled).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    Ok(shown.split(';').filter(|id| !id.is_empty()).map(str::to_owned).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_condition_is_true_false_or_nothing(condition in condition()) {
        let schema = schema();
        let connection = database(&schema);
        let mut all = Vec::new();
        for text in [
            format!("from Order where {condition}"),
            format!("from Order where not ({condition})"),
            format!("from Order where ({condition}) is null"),
        ] {
            all.extend(ids(&schema, &connection, &text)?);
        }
        all.sort_unstable();
        prop_assert_eq!(all, ["20", "21", "22", "23", "24"]);
    }

    /// What is selected of a condition says the same as what it finds.
    #[test]
    fn a_condition_is_the_value_that_it_finds_by(condition in condition()) {
        let schema = schema();
        let connection = database(&schema);
        let found = ids(&schema, &connection, &format!("from Order where {condition}"))?;
        let shown = ids(&schema, &connection, &format!("select id, {condition} as x from Order order by x, id"))?;
        let mut held: Vec<&str> = shown.iter().filter_map(|row| row.strip_suffix(",true")).collect();
        held.sort_unstable();
        prop_assert_eq!(found, held);
    }
}
