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

/// Customers as a node has them, with the same indexes and bookkeeping; for both clusters.
pub const CUSTOMERS: &str = "CREATE TABLE customers(id bigint PRIMARY KEY, customerid text, companyname text,
    address text, city text, created_time bigint, created_user bigint, created_node int, changed_time bigint,
    changed_user bigint, changed_node int, version bigint, deleted int); CREATE INDEX ON customers(customerid);
    CREATE INDEX ON customers(companyname);";
/// Lets another cluster have all customers.
pub const PUBLISH_CUSTOMERS: &str = "CREATE PUBLICATION c FOR TABLE customers";
/// How many tables of customers are not copied yet.
pub const CUSTOMERS_MISSING: &str = "SELECT count(*) FROM pg_subscription_rel JOIN pg_subscription s ON s.oid = srsubid
    WHERE s.subname = 'c' AND srsubstate NOT IN ('s', 'r')";
/// Follows no more, and has no customers.
pub const FORGET_CUSTOMERS: [&str; 2] = ["DROP SUBSCRIPTION c", "TRUNCATE customers"];

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

/// Gets all customers of the cluster that a line leads to, and then follows.
#[must_use]
pub fn follow_customers(line: &str) -> String {
    format!("CREATE SUBSCRIPTION c CONNECTION '{line}' PUBLICATION c")
}

/// Makes so many customers at once.
#[must_use]
pub fn make_customers(rows: u64) -> String {
    format!(
        "INSERT INTO customers SELECT i, 'C' || lpad(i::text, 7, '0'), 'Firma ' || left(md5(i::text), 16), 'Weg ' || i,
         'Ort ' || i % 97, 1795404600000000 + i, 2, 1, 1795404600000000 + i, 2, 1, i, 0
         FROM generate_series(0, {rows} - 1) AS i"
    )
}
