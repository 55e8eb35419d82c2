//! Every function over hard values of all kinds: what the databases give is what the evaluation in memory gives.

use jiff::tz::{Offset, TimeZone};
use mytism_core::query::{Function, Surroundings, parse_with};
use mytism_disk_under_test::Dice;

use super::data::Data;
use super::{Engine, fixed, memory, postgres, schema, sqlite};

/// Calls over the attributes of [`schema::wide`].
const CALLS: &str = "
    lower(s) upper(s) fold(s) plain(s) capitalize(s) length(s) bytes(s) words(s) trim(s) trim_start(s) trim_end(s)
    squeeze(s) left(s,i) left(s,1) right(s,j) right(s,2) substring(s,i) substring(s,2) substring(s,j,i) substring(s,2,1)
    part(s,t,i) part(s,t,-1) part(s,'a',2) part(s,'',1) replace(s,t,u) replace(s,'a','ßß') reverse(s) repeat(s,i)
    repeat(s,3) repeat(s,1048576) repeat(s,1000000) pad_start(s,i,t) pad_start(s,4) pad_start(s,1048577) pad_end(s,3,t)
    pad_end(s,j) concat(s,i,n,d,m,c,x,g,b,q) s||t i||n g||x contains(s,t) starts_with(s,t) ends_with(s,t) position(s,t)
    is_empty(s) is_number(s) code(s) character(i) character(128512) text(i) text(n) text(w) text(v) text(f) text(d)
    text(m) text(c) text(g) text(x) text(q) text(b) text(s)
    i+j i-j i*j i/j i%j n+i n-w n*w n/w n%w w*w w/f w%f v*v v/v v%w v*f f*f f/f f%n n/i i/f v+w w-v
    mod(i,j) mod(w,v) div(i,j) div(w,n) div(n,f) div(w,v) abs(i) abs(w) negate(i) negate(v) sign(i) sign(f)
    round(n) round(w,2) round(v,19) round(f,3) round(i) round(i,20) round(w,20) truncate(w) truncate(v,1) truncate(i,2)
    floor(n) floor(w) floor(i) ceiling(n) ceiling(v) power(n,2) power(i,j) power(v,2) power(f,3) power(w,7) power(n,0)
    power(n,200) power(i,63) power(i,-1) power(f,200) is_even(i) is_odd(j)
    greatest(i,j) greatest(i,n,w) greatest(s,t) greatest(d,e) greatest(m,k) greatest(g,g) greatest(c,'12:00:00') least(i,f)
    least(x,x) least(n,v) least(s,t,u) clamp(i,j,5) clamp(n,i,w) clamp(d,e,'2024-03-01') clamp(s,t,u)
    integer(s) integer(n) integer(w) integer(v) integer(b) integer(d) decimal(s,0) decimal(s,6) decimal(s,20) decimal(w,3)
    decimal(i,20) decimal(g,2)
    year(d) quarter(d) month(d) week(d) day(d) weekday(d) day_of_year(d) days_in_month(d) is_leap_year(d) is_weekend(d)
    hour(d) minute(d) second(d) date(d) datetime(d) year(m) quarter(m) month(m) week(m) day(m) weekday(m) day_of_year(m)
    days_in_month(m) is_leap_year(m) is_weekend(m) hour(m) minute(m) second(m) date(m) datetime(m)
    make_date(i,j,1) make_date(2024,2,29) make_date(2023,2,29) make_date(2024,i,j)
    date_add(d,i,'day') date_add(d,i,'year') date_add(d,1,'month') date_add(d,-1,'quarter') date_add(d,j,'week')
    date_add(d,-13,'month') date_add(d,5,'hour') date_add(m,i,'second') date_add(m,1,'day') date_add(m,-1,'day')
    date_add(m,i,'month') date_add(m,j,'hour') date_add(m,1,'hour') date_add(m,0,'day') date_add(m,-2,'week')
    date_add(m,90,'minute') date_add(m,100,'year') date_add(m,i,'quarter')
    date_diff(d,e,'day') date_diff(d,e,'week') date_diff(d,e,'month') date_diff(d,e,'quarter') date_diff(d,e,'year')
    date_diff(d,e,'hour') date_diff(m,k,'day') date_diff(m,k,'week') date_diff(m,k,'month') date_diff(m,k,'quarter')
    date_diff(m,k,'year') date_diff(m,k,'hour') date_diff(m,k,'minute') date_diff(m,k,'second') date_diff(d,m,'month')
    date_diff(m,d,'second') date_diff(m,e,'year') d-e d+i d-j
    start_of(d,'year') start_of(d,'quarter') start_of(d,'month') start_of(d,'week') start_of(m,'day') start_of(m,'week')
    start_of(m,'hour') end_of(d,'year') end_of(d,'quarter') end_of(d,'month') end_of(d,'week') end_of(d,'day') end_of(m,'month')
    end_of(m,'day') coalesce(i,n,w) coalesce(s,t) coalesce(g,1.5) coalesce(x,x) coalesce(v,i) nullif(i,j) nullif(n,w) nullif(s,t)
    nullif(g,g) if(b,i,w) if(b,s,t) if(i>j,m,k) if(b,v,i) is_true(b) xor(b,i=j) differs(s,t) differs(i,n) differs(g,g)
    s=t i<n w<=v v<>f g>0.1 s<t m<k c<'12:30:00' x='ffffffff-ffff-4fff-bfff-ffffffffffff' -i -w
";

/// Numbers, days and moments more, beside the values that the data has.
fn more_values(data: &mut Data, schema: &mytism_core::schema::Schema, dice: &mut Dice) {
    const TEXTS: [&str; 30] = [
        "straße ŉ ΐ ﬁ",
        "ĲǅǄǆ",
        "ﬃ",
        "Ω K Å",
        "ὈΔΥΣΣΕΎΣ",
        "ꭰ Ꭰ ა Ა",
        "a;b;c",
        "aaaa",
        "\u{a0}x\u{2003}y\u{3000}",
        " \t\n",
        "-19.905",
        ".5",
        "5.",
        "1e3",
        "-1E-3",
        "1e28",
        "9999999999999999999999999999",
        "0.00000000000000000005",
        "1e999999999999999999999",
        "-0e5",
        "12345678901234567890.123456789",
        "9223372036854775807.5",
        "--1",
        "1e",
        "٣",
        "q\u{307}\u{323}",
        "각",
        "\u{1e9b}\u{323}",
        "👩‍👩‍👧",
        "0000000000000000000000000000000000000012",
    ];
    let wide = schema.entity("Wide").unwrap();
    let objects: Vec<_> = data.objects.values_mut().collect();
    for object in objects {
        for name in ["s", "t", "u"] {
            if dice.below(2) == 0 {
                let member = wide.member(name).unwrap();
                let text = TEXTS[dice.below(TEXTS.len())];
                object
                    .values
                    .insert(member.id, mytism_core::input::from_text(&member.kind, text, &TimeZone::UTC).unwrap());
            }
        }
        for name in ["i", "j"] {
            if dice.below(3) == 0 {
                let member = wide.member(name).unwrap();
                let number = i64::try_from(dice.below(30)).unwrap() - 10;
                object.values.insert(member.id, mytism_core::value::Value::Integer(number));
            }
        }
        for name in ["d", "e", "m", "k"] {
            if dice.below(3) == 0 {
                let member = wide.member(name).unwrap();
                let (day, hour) = (1 + dice.below(28), dice.below(24));
                let day = format!("{:04}-{:02}-{day:02}", 1890 + dice.below(160), 1 + dice.below(12));
                let text = if name < "f" { day } else { format!("{day}T{hour:02}:29:59.25Z") };
                object
                    .values
                    .insert(member.id, mytism_core::input::from_text(&member.kind, &text, &TimeZone::UTC).unwrap());
            }
        }
    }
}

fn alike(engine: &mut dyn Engine) {
    let schema = schema::wide();
    let mut dice = Dice::new(7);
    let mut data = Data::sized(&schema, 300, &mut dice);
    more_values(&mut data, &schema, &mut dice);
    engine.begin(&schema);
    engine.fill(&schema, &data);
    let (berlin, now) = fixed();
    let zones = [
        berlin,
        TimeZone::UTC,
        TimeZone::fixed(Offset::from_seconds(-12_600).unwrap()),
        TimeZone::get("America/Havana").unwrap(),
        TimeZone::get("Australia/Lord_Howe").unwrap(),
    ];
    let (mut compared, mut differing) = (0, Vec::new());
    for (at, zone) in zones.iter().enumerate() {
        for call in CALLS.split_whitespace() {
            let of_time = ["(d", "(m", "k", "date"].iter().any(|word| call.contains(word));
            if at > 0 && !of_time {
                continue;
            }
            let text = format!("select id, {call} as x from Wide order by id");
            let query = parse_with(&text, &schema, &Surroundings { params: &[], zone, now });
            let query = query.unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let (told, sql) = engine.ask(&schema, &query, None);
            let (told, expected) = (told.unwrap(), memory(&data, &schema, &query).unwrap());
            assert_eq!(told.len(), expected.len());
            compared += told.len();
            if let Some((told, expected)) = told.iter().zip(&expected).find(|(told, expected)| told != expected) {
                let id = told[0].to_string();
                let object = data.objects.iter().find(|(object, _)| object.to_string() == id).unwrap().1;
                differing
                    .push(format!("{call} {zone:?}: {told:?}, memory {expected:?}\n  {:?}\n  {sql}", object.values));
            }
        }
    }
    assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
    for name in Function::names() {
        assert!(CALLS.contains(&format!("{name}(")), "{name} is not called");
    }
    eprintln!("{compared} values are the same");
}

#[test]
fn functions_are_the_same_on_sqlite() {
    alike(&mut sqlite::Sqlite::default());
}

#[test]
fn functions_are_the_same_on_postgres() {
    if let Some(mut engine) = postgres::Postgres::start() {
        alike(&mut engine);
    }
}
