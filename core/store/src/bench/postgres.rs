//! The statements with which PostgreSQL does the work of a head office and a branch: rows like those of orders, made in
//! one cluster and replicated to another. Whoever measures has its own programs carry them out.

/// The rows that a node's orders are, with the same indexes; for both clusters.
pub const TABLE: &str = "CREATE TABLE orders(id bigint PRIMARY KEY, orderid bigint, customer bigint,
    orderdate timestamptz, requireddate timestamptz, freight numeric, shipname text, shipaddress text, shipcity text,
    shippostalcode text, shipcountry text, made timestamptz DEFAULT clock_timestamp());
    CREATE INDEX ON orders(orderid); CREATE INDEX ON orders(customer);";
/// What the one that follows notes beside them.
pub const ARRIVED: &str = "ALTER TABLE orders ADD arrived timestamptz DEFAULT clock_timestamp()";
/// Lets another cluster follow.
pub const PUBLISH: &str = "CREATE PUBLICATION p FOR TABLE orders";
/// Rests, and goes on.
pub const REST: [&str; 2] = ["ALTER SUBSCRIPTION s DISABLE", "ALTER SUBSCRIPTION s ENABLE"];
/// The number of the last row that is there.
pub const LAST: &str = "SELECT coalesce(max(id), 0) FROM orders";
/// How many milliseconds the half of the rows and ninety-nine of a hundred took from their making to their arrival.
pub const LAGS: &str = "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY lag),
    percentile_disc(0.99) WITHIN GROUP (ORDER BY lag)
    FROM (SELECT extract(epoch FROM arrived - made) * 1000 AS lag FROM orders) one";
/// How sure the making of rows is does not matter to who follows later.
pub const UNSURE: &str = "SET synchronous_commit = off";

/// Follows the cluster that a line leads to.
#[must_use]
pub fn follow(line: &str) -> String {
    format!("CREATE SUBSCRIPTION s CONNECTION '{line}' PUBLICATION p WITH (copy_data = false)")
}

/// Makes so many rows, each in a transaction of its own, with a pause behind each.
#[must_use]
pub fn make(rows: u64, pause_seconds: f64) -> String {
    let pause = if pause_seconds > 0.0 { format!("PERFORM pg_sleep({pause_seconds});") } else { String::new() };
    format!(
        "DO $$ BEGIN FOR i IN 1..{rows} LOOP
         INSERT INTO orders(id, orderid, customer, orderdate, requireddate, freight, shipname, shipaddress, shipcity,
             shippostalcode, shipcountry)
         VALUES (i, i, i * 7919 % 1000, now(), now(), i % 500 + 0.25, 'Lager ' || i % 1000,
             'Speicherstraße ' || i % 300, 'Hamburg', (20000 + i % 1000)::text, 'Deutschland');
         COMMIT; {pause} END LOOP; END $$"
    )
}
