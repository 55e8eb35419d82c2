//! A rental of films with shops, stock and payments: thirteen tables.

use mytism_disk_under_test::Dice;

use super::Original;

const TABLES: &[super::Table] = &[
    ("Language", &["Name text"]),
    ("Category", &["Name text"]),
    ("Actor", &["FirstName text", "LastName text"]),
    ("Film", &["Title text", "Language Language", "Length integer", "Rate money", "Cost money", "Rating text"]),
    ("FilmActor", &["Film Film", "Actor Actor"]),
    ("FilmCategory", &["Film Film", "Category Category"]),
    ("Country", &["Name text"]),
    ("City", &["Name text", "Country Country"]),
    ("Store", &["City City"]),
    ("Customer", &["FirstName text", "LastName text", "City City", "Store Store", "Active bool"]),
    ("Inventory", &["Film Film", "Store Store"]),
    ("Rental", &["Inventory Inventory", "Customer Customer", "Rented moment", "Returned moment"]),
    ("Payment", &["Customer Customer", "Rental Rental", "Amount money", "Paid moment"]),
];

const MANY: &[&str] = &[
    "Film Cast FilmActor Film",
    "Film Categories FilmCategory Film",
    "Film Stock Inventory Film",
    "Actor Films FilmActor Actor",
    "Inventory Rentals Rental Inventory",
    "Customer Rentals Rental Customer",
    "Customer Payments Payment Customer",
    "Rental Payments Payment Rental",
];

const REPORTS: &[(&str, &str)] = &[
    (
        "select Category.Name as c, count(*) as n, avg(Film.Length) as l, max(Film.Rate) as r from FilmCategory group by c order by n desc, c",
        "SELECT c.Name, count(*) AS n, avg(f.Length), max(f.Rate) FROM FilmCategory x JOIN Film f ON f.id = x.Film \
         JOIN Category c ON c.id = x.Category GROUP BY 1 ORDER BY n DESC, 1",
    ),
    (
        "select Rental.Inventory.Store.City.Name as s, sum(Amount) as a, count(*) as n from Payment group by s order by s",
        "SELECT y.Name, sum(p.Amount), count(*) FROM Payment p LEFT JOIN Rental r ON r.id = p.Rental \
         LEFT JOIN Inventory i ON i.id = r.Inventory LEFT JOIN Store s ON s.id = i.Store LEFT JOIN City y ON y.id = s.City \
         GROUP BY 1 ORDER BY 1 NULLS LAST",
    ),
    (
        "select Title, upper(Rating), Length / 60 as hours from Film where Length > 100 and Title ilike '%a%' order by Title",
        "SELECT Title, upper(Rating), round(Length / 60.0, 6) FROM Film WHERE Length > 100 AND lower(Title) LIKE '%a%' ORDER BY Title, id",
    ),
    (
        "select r.id, Customer.LastName, Inventory.Film.Title from Rental r where Returned is null order by Rented, r.id",
        "SELECT r.id, c.LastName, f.Title FROM Rental r LEFT JOIN Customer c ON c.id = r.Customer \
         LEFT JOIN Inventory i ON i.id = r.Inventory LEFT JOIN Film f ON f.id = i.Film WHERE Returned IS NULL ORDER BY Rented, r.id",
    ),
    (
        "select a.FirstName, a.LastName, count(within a.Films) as films, \
         count(within a.Films f where f.Film.Rating = 'R') as r from Actor a order by films desc, a.LastName, a.FirstName limit 10",
        "SELECT FirstName, LastName, (SELECT count(*) FROM FilmActor x WHERE x.Actor = a.id) AS films, \
         (SELECT count(*) FROM FilmActor x JOIN Film f ON f.id = x.Film WHERE x.Actor = a.id AND f.Rating = 'R') \
         FROM Actor a ORDER BY films DESC, LastName, FirstName, id LIMIT 10",
    ),
    (
        "select concat(c.FirstName, ' ', c.LastName) as name, coalesce(sum(within c.Payments p of p.Amount), 0) as paid \
         from Customer c where c.Active order by paid desc, name limit 20",
        "SELECT FirstName || ' ' || LastName AS name, coalesce((SELECT sum(Amount) FROM Payment p WHERE p.Customer = c.id), 0.0) AS paid \
         FROM Customer c WHERE Active ORDER BY round(paid, 2) DESC, name, id LIMIT 20",
    ),
    (
        "select Title from Film f where not exists(within f.Stock) order by Title",
        "SELECT Title FROM Film f WHERE NOT EXISTS (SELECT 1 FROM Inventory i WHERE i.Film = f.id) ORDER BY Title, id",
    ),
    (
        "select Title from Film f where exists(within f.Stock i where exists(within i.Rentals r where r.Returned is null)) order by Title",
        "SELECT Title FROM Film f WHERE EXISTS (SELECT 1 FROM Inventory i JOIN Rental r ON r.Inventory = i.id \
         WHERE i.Film = f.id AND r.Returned IS NULL) ORDER BY Title, id",
    ),
    (
        "select year(Paid) as y, month(Paid) as m, sum(Amount) as a from Payment group by y, m order by y, m",
        "SELECT CAST(strftime('%Y', Paid) AS INTEGER), CAST(strftime('%m', Paid) AS INTEGER), sum(Amount) FROM Payment GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "select r.id, date_diff(Rented, Returned, 'day') as days from Rental r where date_diff(Rented, Returned, 'day') > 5 order by days desc, r.id",
        "SELECT id, (unixepoch(Returned) - unixepoch(Rented)) / 86400 AS days FROM Rental \
         WHERE (unixepoch(Returned) - unixepoch(Rented)) / 86400 > 5 ORDER BY days DESC, id",
    ),
    (
        "select City.Country.Name as c, count(*) as n, sum(if(Active, 1, 0)) as active from Customer group by c order by c",
        "SELECT o.Name, count(*), sum(CASE WHEN Active THEN 1 ELSE 0 END) FROM Customer c LEFT JOIN City y ON y.id = c.City \
         LEFT JOIN Country o ON o.id = y.Country GROUP BY 1 ORDER BY 1 NULLS LAST",
    ),
    (
        "select Rating, count(*) as n, min(Cost) as low, max(Cost) as high, avg(Rate) as rate from Film where Language.Name != 'Latein' group by Rating order by Rating",
        "SELECT Rating, count(*), min(Cost), max(Cost), avg(Rate) FROM Film f JOIN Language l ON l.id = f.Language \
         WHERE l.Name <> 'Latein' GROUP BY Rating ORDER BY Rating",
    ),
    (
        "select c.LastName from Customer c where c.Store.City.Country != c.City.Country and count(within c.Rentals) between 3 and 6 order by c.LastName",
        "SELECT c.LastName FROM Customer c JOIN Store s ON s.id = c.Store JOIN City a ON a.id = s.City JOIN City b ON b.id = c.City \
         WHERE a.Country <> b.Country AND (SELECT count(*) FROM Rental r WHERE r.Customer = c.id) BETWEEN 3 AND 6 ORDER BY c.LastName, c.id",
    ),
];

/// With data that are made up.
pub(super) fn original() -> Original {
    let mut dice = Dice::new(9);
    let mut rows = std::collections::BTreeMap::new();
    let to = |dice: &mut Dice, count: usize| (1 + dice.below(count)).to_string();
    let money = |dice: &mut Dice, most: usize| format!("{}.{:02}", dice.below(most), dice.below(100));
    let moment = |day: usize, dice: &mut Dice| {
        let (hour, minute) = (dice.below(24), dice.below(60));
        format!("2005-{:02}-{:02}T{hour:02}:{minute:02}:00Z", 1 + day / 28 % 12, 1 + day % 28)
    };
    let named = |what: &str, count: usize| (0..count).map(|n| vec![format!("{what} {n:03}")]).collect::<Vec<_>>();
    rows.insert("Language", vec![vec!["Latein".into()], vec!["Dänisch".into()], vec!["Färöisch".into()]]);
    rows.insert("Category", named("Fach", 16));
    rows.insert("Actor", (0..80).map(|n| vec![format!("Vor{}", n % 9), format!("Nach{:02}", n * 37 % 80)]).collect());
    let film = |n: usize, dice: &mut Dice| {
        let rating = ["G", "PG", "R", "NC-17"][dice.below(4)];
        let title = format!("{} {n:03}", ["Alles", "Nichts", "Etwas", "Über"][n % 4]);
        let length = (40 + dice.below(140)).to_string();
        vec![title, to(dice, 3), length, money(dice, 5), money(dice, 30), rating.into()]
    };
    rows.insert("Film", (0..120).map(|n| film(n, &mut dice)).collect());
    rows.insert("FilmActor", (0..500).map(|_| vec![to(&mut dice, 120), to(&mut dice, 80)]).collect());
    rows.insert("FilmCategory", (1..=120).map(|n| vec![n.to_string(), to(&mut dice, 16)]).collect());
    rows.insert("Country", named("Land", 6));
    rows.insert("City", (0..30).map(|n| vec![format!("Stadt {n:02}"), to(&mut dice, 6)]).collect());
    rows.insert("Store", vec![vec!["4".into()], vec!["17".into()]]);
    let customer = |n: usize, dice: &mut Dice| {
        let active = (dice.below(4) > 0).to_string();
        vec![format!("Kim{}", n % 13), format!("Muster{n:03}"), to(dice, 30), to(dice, 2), active]
    };
    rows.insert("Customer", (0..150).map(|n| customer(n, &mut dice)).collect());
    rows.insert("Inventory", (0..240).map(|_| vec![to(&mut dice, 100), to(&mut dice, 2)]).collect());
    let rental = |dice: &mut Dice| {
        let day = dice.below(200);
        let rented = moment(day, dice);
        let back = day + 1 + dice.below(9);
        let returned = moment(back, dice);
        let returned = if dice.below(9) == 0 { String::new() } else { returned };
        vec![to(dice, 240), to(dice, 150), rented, returned]
    };
    rows.insert("Rental", (0..700).map(|_| rental(&mut dice)).collect());
    let payment = |dice: &mut Dice| {
        let day = dice.below(300);
        let rental = if dice.below(10) == 0 { String::new() } else { to(dice, 700) };
        vec![to(dice, 150), rental, money(dice, 12), moment(day, dice)]
    };
    rows.insert("Payment", (0..700).map(|_| payment(&mut dice)).collect());
    Original { tables: TABLES, many: MANY, rows, reports: REPORTS }
}
