//! How the engine goes about a query: simple conditions are answered by an index.

use super::*;

fn plan(text: &str) -> String {
    let schema = schema();
    let connection = database(&schema);
    let query = parse(text, &schema, &[], &TimeZone::UTC).unwrap();
    let compiled = compile(&query, &schema, &Names::new(&schema), QueryOptions::default());
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", compiled.sql)).unwrap();
    let rows = statement.query_map(params_from_iter(&compiled.params), |row| row.get::<_, String>(3)).unwrap();
    rows.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

#[test]
fn simple_conditions_use_an_index() {
    let check = |text: &str, expected: &[&str]| {
        let plan = plan(text);
        for part in expected {
            assert!(plan.contains(part), "{text}: {plan}");
        }
        assert!(!plan.contains("AUTOMATIC"), "{text}: {plan}");
    };
    check("from Order where id = 5", &["SEARCH t0 USING INTEGER PRIMARY KEY (rowid=?)"]);
    check("from Order where Total = 5", &["SEARCH t0 USING INDEX mytism_index_13_134 (Total=?)"]);
    check(
        "from Order where Total between 5 and 6",
        &["SEARCH t0 USING INDEX mytism_index_13_134 (Total>? AND Total<?)"],
    );
    check("from Order where Total in (5, 6)", &["SEARCH t0 USING INDEX mytism_index_13_134 (Total=?)"]);
    check("from Order where Customer = 5", &["SEARCH t0 USING INDEX mytism_index_13_132 (Customer=?)"]);
    check("from Person where City = 'x'", &["SEARCH t0 USING INDEX mytism_index_11_102 (City=?)"]);
    check("from Person where City like 'Ber%'", &["SEARCH t0 USING INDEX mytism_index_11_102 (City>? AND City<?)"]);
    check("from Order order by Number limit 3", &["SCAN t0 USING INDEX mytism_index_13_131"]);
    check("from Order where Seller.Seats > 5", &["SEARCH t1 USING INTEGER PRIMARY KEY (rowid=?)"]);
    check(
        "from Order where Seller.Code = 'x'",
        &[
            "SEARCH t1 USING COVERING INDEX mytism_index_12_101 (Code=?)",
            "SEARCH t0 USING INDEX mytism_index_13_133 (Seller=?)",
        ],
    );
    check(
        "from Contact where City = 'x'",
        &["USING INDEX mytism_index_11_102 (City=?)", "USING INDEX mytism_index_12_102 (City=?)"],
    );
    check(
        "from Order where Customer.City = 'x'",
        &["SEARCH t1 USING INTEGER PRIMARY KEY", "SEARCH t2 USING INTEGER PRIMARY KEY"],
    );
}

#[test]
fn paths_share_their_tables() {
    let schema = schema();
    let text = "select Boss.City, Boss.Boss.City, Boss.Code from Person where Boss.Boss.Code = 'x'";
    let query = parse(text, &schema, &[], &TimeZone::UTC).unwrap();
    let sql = compile(&query, &schema, &Names::new(&schema), QueryOptions::default()).sql;
    assert_eq!(sql.matches("LEFT JOIN").count(), 2, "{sql}");
}
