//! A trader with customers, staff and goods: eleven tables.

use mytism_disk_under_test::Dice;

use super::Original;

const TABLES: &[super::Table] = &[
    ("Region", &["Name text"]),
    ("Territory", &["Name text", "Region Region"]),
    (
        "Employee",
        &["LastName text", "FirstName text", "City text", "BirthDate date", "HireDate date", "ReportsTo Employee"],
    ),
    ("EmployeeTerritory", &["Employee Employee", "Territory Territory"]),
    ("Category", &["Name text"]),
    ("Supplier", &["Company text", "Country text"]),
    (
        "Product",
        &[
            "Name text",
            "Supplier Supplier",
            "Category Category",
            "UnitPrice money",
            "InStock integer",
            "ReorderLevel integer",
            "Discontinued bool",
        ],
    ),
    ("Shipper", &["Company text"]),
    ("Customer", &["Company text", "City text", "Country text", "Region text"]),
    (
        "Orders",
        &[
            "Customer Customer",
            "Employee Employee",
            "Shipper Shipper",
            "OrderDate date",
            "RequiredDate date",
            "ShippedDate date",
            "Freight money",
        ],
    ),
    ("Line", &["Orders Orders", "Product Product", "UnitPrice money", "Quantity integer", "Discount integer"]),
];

const MANY: &[&str] = &[
    "Customer AllOrders Orders Customer",
    "Orders Lines Line Orders",
    "Employee Staff Employee ReportsTo",
    "Employee Territories EmployeeTerritory Employee",
    "Category Products Product Category",
    "Product Lines Line Product",
    "Supplier Products Product Supplier",
];

const REPORTS: &[(&str, &str)] = &[
    (
        "select Orders.id as o, sum(UnitPrice * Quantity * (100 - Discount) / 100) as total from Line group by o order by o limit 50",
        "SELECT Orders, sum(UnitPrice * Quantity * (100 - Discount) / 100.0) FROM Line GROUP BY Orders ORDER BY Orders LIMIT 50",
    ),
    (
        "select Product.Category.Name as c, Product.Name as p, sum(UnitPrice * Quantity) as s from Line \
         where year(Orders.OrderDate) = 1997 group by c, p order by c, p",
        "SELECT c.Name, p.Name, sum(l.UnitPrice * l.Quantity) FROM Line l JOIN Product p ON p.id = l.Product \
         JOIN Category c ON c.id = p.Category JOIN Orders o ON o.id = l.Orders \
         WHERE strftime('%Y', o.OrderDate) = '1997' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "select Name, UnitPrice from Product order by UnitPrice desc limit 10",
        "SELECT Name, UnitPrice FROM Product ORDER BY UnitPrice DESC, id LIMIT 10",
    ),
    (
        "select Name, Category.Name, InStock from Product where not Discontinued and InStock <= ReorderLevel order by Name",
        "SELECT p.Name, c.Name, p.InStock FROM Product p LEFT JOIN Category c ON c.id = p.Category \
         WHERE NOT p.Discontinued AND p.InStock <= p.ReorderLevel ORDER BY p.Name",
    ),
    (
        "select Employee.LastName as e, Customer.Country as c, count(*) as n, sum(Freight) as f from Orders group by e, c order by e, c",
        "SELECT e.LastName, c.Country, count(*), sum(o.Freight) FROM Orders o LEFT JOIN Employee e ON e.id = o.Employee \
         LEFT JOIN Customer c ON c.id = o.Customer GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2 NULLS LAST",
    ),
    (
        "select Company from Customer a where not exists(within a.AllOrders) order by Company",
        "SELECT Company FROM Customer c WHERE NOT EXISTS (SELECT 1 FROM Orders o WHERE o.Customer = c.id) ORDER BY Company, id",
    ),
    (
        "select a.Company, count(within a.AllOrders) as n, max(within a.AllOrders o of o.OrderDate) as d from Customer a order by n desc, a.Company",
        "SELECT Company, (SELECT count(*) FROM Orders o WHERE o.Customer = c.id) AS n, \
         (SELECT max(OrderDate) FROM Orders o WHERE o.Customer = c.id) FROM Customer c ORDER BY n DESC, Company, id",
    ),
    (
        "select LastName || ', ' || FirstName as name, ReportsTo.LastName, count(within Staff) as staff from Employee order by name",
        "SELECT e.LastName || ', ' || e.FirstName AS name, b.LastName, (SELECT count(*) FROM Employee s WHERE s.ReportsTo = e.id) \
         FROM Employee e LEFT JOIN Employee b ON b.id = e.ReportsTo ORDER BY name",
    ),
    (
        "select year(OrderDate) as y, quarter(OrderDate) as q, count(*) as n, sum(Freight) as f from Orders group by y, q order by y, q",
        "SELECT CAST(strftime('%Y', OrderDate) AS INTEGER), (CAST(strftime('%m', OrderDate) AS INTEGER) + 2) / 3, count(*), sum(Freight) \
         FROM Orders GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "select o.id, date(ShippedDate) - date(RequiredDate) as late from Orders o where ShippedDate > RequiredDate order by late desc, o.id",
        "SELECT id, CAST(julianday(ShippedDate) - julianday(RequiredDate) AS INTEGER) AS late FROM Orders \
         WHERE ShippedDate > RequiredDate ORDER BY late DESC, id",
    ),
    (
        "select Name, UnitPrice from Product p where exists(within p.Lines l where l.Discount > 20 and l.UnitPrice < l.Product.UnitPrice) order by Name",
        "SELECT Name, UnitPrice FROM Product p WHERE EXISTS (SELECT 1 FROM Line l WHERE l.Product = p.id AND l.Discount > 20 \
         AND l.UnitPrice < p.UnitPrice) ORDER BY Name, id",
    ),
    (
        "select Country, count(*) as n, count(distinct City) as cities from Customer group by Country order by n desc, Country",
        "SELECT Country, count(*) AS n, count(DISTINCT City) FROM Customer GROUP BY Country ORDER BY n DESC, Country",
    ),
    (
        "select Employee.id as e, count(distinct Territory.Region) as r, count(*) as n from EmployeeTerritory group by e order by e",
        "SELECT t.Employee, count(DISTINCT y.Region), count(*) FROM EmployeeTerritory t JOIN Territory y ON y.id = t.Territory \
         GROUP BY 1 ORDER BY 1",
    ),
    (
        "select Shipper.Company as s, avg(date(ShippedDate) - date(OrderDate)) as days from Orders where ShippedDate is not null group by s order by s",
        "SELECT s.Company, avg(julianday(o.ShippedDate) - julianday(o.OrderDate)) FROM Orders o JOIN Shipper s ON s.id = o.Shipper \
         WHERE o.ShippedDate IS NOT NULL GROUP BY 1 ORDER BY 1",
    ),
    (
        "select a.Company, a.Country from Customer a where for all(within a.AllOrders o where o.Freight > 20) and a.Region is null order by a.Company",
        "SELECT Company, Country FROM Customer c WHERE NOT EXISTS (SELECT 1 FROM Orders o WHERE o.Customer = c.id AND NOT o.Freight > 20) \
         AND Region IS NULL ORDER BY Company, id",
    ),
];

/// With data that are made up.
pub(super) fn original() -> Original {
    let mut dice = Dice::new(5);
    let mut rows = std::collections::BTreeMap::new();
    let maybe = |dice: &mut Dice, text: String| if dice.below(6) == 0 { String::new() } else { text };
    let date = |dice: &mut Dice, years: usize| {
        format!("{}-{:02}-{:02}", 1996 + dice.below(years), 1 + dice.below(12), 1 + dice.below(28))
    };
    let to = |dice: &mut Dice, count: usize| (1 + dice.below(count)).to_string();
    let money = |dice: &mut Dice, most: usize| format!("{}.{:02}", dice.below(most), dice.below(100));
    let cities = ["Lübeck", "Graz", "Basel", "Århus", "lille", "Ostende"];
    let countries = ["Norland", "Süden", "Ostreich"];
    rows.insert("Region", (0..4).map(|n| vec![format!("Region {n}")]).collect::<Vec<_>>());
    rows.insert("Territory", (0..20).map(|n| vec![format!("Gebiet {n}"), to(&mut dice, 4)]).collect());
    let employee = |n: usize| {
        let boss = if n < 2 { String::new() } else { (1 + n / 3).to_string() };
        let born = format!("{}-{:02}-29", 1950 + n, 1 + n % 12);
        let born = born.replace("-02-29", "-02-28");
        vec![format!("Name{:02}", 97 - n), format!("Vor{n}"), cities[n % 6].into(), born, "1992-05-01".into(), boss]
    };
    rows.insert("Employee", (0..9).map(employee).collect());
    rows.insert("EmployeeTerritory", (0..30).map(|_| vec![to(&mut dice, 9), to(&mut dice, 20)]).collect());
    rows.insert("Category", (0..8).map(|n| vec![format!("Art {}", 9 - n)]).collect());
    rows.insert("Supplier", (0..12).map(|n| vec![format!("Firma {n}"), countries[n % 3].into()]).collect());
    let product = |n: usize, dice: &mut Dice| {
        let stock = (dice.below(80).to_string(), dice.below(40).to_string());
        let price = format!("{}.{:02}", 5 + n * 3, n);
        vec![
            format!("Ware {n:03}"),
            to(dice, 12),
            to(dice, 8),
            price,
            stock.0,
            stock.1,
            n.is_multiple_of(7).to_string(),
        ]
    };
    rows.insert("Product", (0..60).map(|n| product(n, &mut dice)).collect());
    rows.insert("Shipper", (0..3).map(|n| vec![format!("Spedition {n}")]).collect());
    let customer = |n: usize, dice: &mut Dice| {
        let region = maybe(dice, "Nord".into());
        let region = if n.is_multiple_of(2) { String::new() } else { region };
        vec![format!("Kunde {n:02}"), cities[dice.below(6)].into(), countries[dice.below(3)].into(), region]
    };
    rows.insert("Customer", (0..70).map(|n| customer(n, &mut dice)).collect());
    let order = |dice: &mut Dice| {
        let (shipper, ordered, required) = (to(dice, 3), date(dice, 3), date(dice, 4));
        let shipped = date(dice, 4);
        let (shipped, employee) = (maybe(dice, shipped), to(dice, 9));
        let employee = maybe(dice, employee);
        vec![to(dice, 60), employee, shipper, ordered, required, shipped, money(dice, 200)]
    };
    rows.insert("Orders", (0..500).map(|_| order(&mut dice)).collect());
    let line = |dice: &mut Dice| {
        let discount = (dice.below(6) * 5).to_string();
        vec![to(dice, 500), to(dice, 60), money(dice, 150), (1 + dice.below(40)).to_string(), discount]
    };
    rows.insert("Line", (0..1_500).map(|_| line(&mut dice)).collect());
    Original { tables: TABLES, many: MANY, rows, reports: REPORTS }
}
