//! The functions of our own that compiled queries name, as statements that make them in a database.
//!
//! What letters, blanks and accents are is what this program takes for them, not what the engine's libraries do; only
//! composing and decomposing accents is left to the engine (`normalize`). None of them fails, whatever it is given: a
//! condition always stands in front of what might. They call each other, so their order counts.

use mytism_core::query::is_accent;

/// The longest text that a function makes, in bytes.
const LONGEST: u32 = 1 << 20;

/// The statements, in order. They replace those of an older program.
#[must_use]
pub fn functions() -> Vec<String> {
    let mut all = letters();
    all.extend(texts());
    all.extend(NUMBERS.iter().chain(&TIMES).map(|(head, body)| made(head, "IMMUTABLE STRICT", body)));
    all.extend(SHOWN.iter().map(|(head, body)| made(head, "STABLE STRICT", body)));
    all.extend(ANY.iter().map(|(head, body)| made(head, "IMMUTABLE", body)));
    all
}

fn made(head: &str, behaviour: &str, body: &str) -> String {
    format!("CREATE OR REPLACE FUNCTION mytism_{head} LANGUAGE sql {behaviour} PARALLEL SAFE AS $body$ {body} $body$")
}

/// Every character but those that no text can hold.
fn characters() -> impl Iterator<Item = char> {
    '\u{1}'..=char::MAX
}

/// White space, ready to stand between quotation marks and between brackets: no sign with a meaning is among it.
fn blanks() -> String {
    characters().filter(|character| character.is_whitespace()).collect()
}

/// Upper and lower case.
fn letters() -> Vec<String> {
    let (mut upper, mut lower) = (String::new(), String::new());
    for character in characters().filter(|character| !matches!(character, '\0'..='\u{7f}' | '\u{130}')) {
        let mut small = character.to_lowercase();
        if let (Some(one), None) = (small.next(), small.next())
            && one != character
        {
            upper.push(character);
            lower.push(one);
        }
    }
    let (mut small, mut capital) = (String::new(), String::new());
    // Some letters become several.
    let (mut odd, mut several) = (String::new(), "given".to_owned());
    for character in characters().filter(|character| !character.is_ascii()) {
        let mut found = character.to_uppercase();
        match (found.next(), found.len()) {
            (Some(one), 0) if one == character => {}
            (Some(one), 0) => {
                small.push(character);
                capital.push(one);
            }
            _ => {
                odd.push(character);
                several = format!("replace({several}, '{character}', '{}')", character.to_uppercase());
            }
        }
    }
    vec![
        made(
            "lower(given text) RETURNS text",
            "IMMUTABLE STRICT",
            &format!(
                "SELECT CASE WHEN octet_length(given) = char_length(given) THEN lower(given COLLATE \"C\") \
                 ELSE translate(replace(lower(given COLLATE \"C\"), '\u{130}', 'i\u{307}'), '{upper}', '{lower}') END"
            ),
        ),
        made("odd_upper(given text) RETURNS text", "IMMUTABLE STRICT", &format!("SELECT {several}")),
        made(
            "upper(given text) RETURNS text",
            "IMMUTABLE STRICT",
            &format!(
                "SELECT CASE WHEN octet_length(given) = char_length(given) THEN upper(given COLLATE \"C\") \
                 ELSE translate(upper((CASE WHEN given ~ '[{odd}]' THEN mytism_odd_upper(given) ELSE given END) \
                 COLLATE \"C\"), '{small}', '{capital}') END"
            ),
        ),
    ]
}

/// Texts, beside the case of their letters.
fn texts() -> Vec<String> {
    let blanks = blanks();
    let accents: String = characters().filter(|character| is_accent(*character)).collect();
    let plain = format!(
        "SELECT CASE WHEN octet_length(given) = char_length(given) THEN given \
         ELSE normalize(translate(normalize(given, NFD), '{accents}', ''), NFC) END"
    );
    let squeezed = format!("SELECT regexp_replace(btrim(given, '{blanks}'), '[{blanks}]+', ' ', 'g')");
    let is_number = "SELECT mytism_trim(given) ~ '^[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?$'";
    let short = format!("SELECT CASE WHEN octet_length(given) <= {LONGEST} THEN given END");
    let repeat = format!(
        "SELECT CASE WHEN octet_length(given)::numeric * times <= {LONGEST} THEN repeat(given, mytism_count(times)) END"
    );
    let pad = |side: &str| {
        format!(
            "SELECT CASE WHEN width > {LONGEST} THEN NULL \
             WHEN char_length(given) >= width OR fill = '' THEN given ELSE {side}(given, width::integer, fill) END"
        )
    };
    let replace = format!(
        "SELECT CASE WHEN old = '' THEN given WHEN octet_length(given) \
         + (octet_length(given) - octet_length(replace(given, old, ''))) / octet_length(old) \
         * octet_length(new)::bigint <= {} THEN replace(given, old, new) END",
        2 * LONGEST
    );
    let rows: Vec<(&str, String)> = vec![
        ("count(given bigint) RETURNS integer", "SELECT greatest(least(given, 2147483647), 0)::integer".to_owned()),
        ("short(given text) RETURNS text", short),
        ("trim(given text) RETURNS text", format!("SELECT btrim(given, '{blanks}')")),
        ("trim_start(given text) RETURNS text", format!("SELECT ltrim(given, '{blanks}')")),
        ("trim_end(given text) RETURNS text", format!("SELECT rtrim(given, '{blanks}')")),
        ("squeeze(given text) RETURNS text", squeezed),
        ("words(given text) RETURNS bigint", WORDS.to_owned()),
        ("fold(given text) RETURNS text", "SELECT mytism_lower(normalize(given, NFC))".to_owned()),
        ("plain(given text) RETURNS text", plain),
        ("capitalize(given text) RETURNS text", "SELECT mytism_upper(left(given, 1)) || substr(given, 2)".to_owned()),
        ("character(given bigint) RETURNS text", CHARACTER.to_owned()),
        ("is_number(given text) RETURNS boolean", is_number.to_owned()),
        ("substring(given text, start bigint, count bigint) RETURNS text", SUBSTRING.to_owned()),
        ("repeat(given text, times bigint) RETURNS text", repeat),
        ("pad_start(given text, width bigint, fill text) RETURNS text", pad("lpad")),
        ("pad_end(given text, width bigint, fill text) RETURNS text", pad("rpad")),
        ("replace(given text, old text, new text) RETURNS text", replace),
        ("part(given text, separator text, place bigint) RETURNS text", PART.to_owned()),
        // A backslash before anything else than a sign of patterns means itself.
        ("pattern(given text) RETURNS text", PATTERN.to_owned()),
    ];
    rows.into_iter().map(|(head, body)| made(head, "IMMUTABLE STRICT", &body)).collect()
}

const WORDS: &str = "SELECT (char_length(one) - char_length(replace(one, ' ', '')) + (one <> '')::integer)::bigint \
     FROM mytism_squeeze(given) AS one";

const CHARACTER: &str = "SELECT CASE WHEN given BETWEEN 1 AND 55295 OR given BETWEEN 57344 AND 1114111 \
     THEN chr(given::integer) END";

const SUBSTRING: &str = "SELECT substr(given, greatest(mytism_count(start), 1), mytism_count(count))";

const PART: &str = "SELECT CASE WHEN place > 0 THEN parts[mytism_count(place)] \
     WHEN place < 0 AND place >= - cardinality(parts) THEN parts[(cardinality(parts) + 1 + place)::integer] END \
     FROM (SELECT CASE WHEN separator = '' OR given = '' THEN ARRAY[given] \
     ELSE string_to_array(given, separator) END AS parts) AS divided";

const PATTERN: &str = "SELECT coalesce(string_agg(CASE part[1] WHEN '\\' THEN '\\\\' ELSE part[1] END, '' ORDER BY place), '') \
     FROM regexp_matches(given, '\\\\[%_\\\\]|\\\\|[^\\\\]+', 'g') WITH ORDINALITY AS parts(part, place)";

/// Exact numbers.
const NUMBERS: [(&str, &str); 6] = [
    (
        "whole(given numeric) RETURNS bigint",
        "SELECT CASE WHEN round(given) BETWEEN -9223372036854775808 AND 9223372036854775807 \
         THEN round(given)::bigint END",
    ),
    (
        "decimal(given numeric, scale integer, edge numeric) RETURNS numeric",
        "SELECT CASE WHEN abs(round(given, scale)) < edge THEN round(given, scale) END",
    ),
    (
        "bounded(given numeric, unit numeric) RETURNS numeric",
        "SELECT CASE WHEN abs(given) * unit < 170141183460469231731687303715884105728 THEN given END",
    ),
    // Whole numbers are divided, and the engine cuts those exactly; with half a unit more it is rounded once.
    (
        "quotient(given numeric, divisor numeric, unit numeric, part numeric) RETURNS numeric",
        "SELECT CASE WHEN divisor <> 0 THEN div(abs(given) * unit + abs(divisor), 2 * abs(divisor)) \
         * sign(given) * sign(divisor) * part END",
    ),
    // Each product is brought to the scale again.
    (
        "power(given numeric, exponent bigint, scale integer, unit numeric) RETURNS numeric",
        "WITH RECURSIVE step(number, product) AS (SELECT 1, given UNION ALL \
         SELECT number + 1, round(mytism_bounded(product * given, unit), scale) \
         FROM step WHERE number < exponent AND number < 200 AND product IS NOT NULL) \
         SELECT CASE WHEN exponent = 0 THEN 1 WHEN exponent BETWEEN 1 AND 200 \
         THEN (SELECT product FROM step ORDER BY number DESC LIMIT 1) END",
    ),
    // The digits without zeros before them, and where the point stands among them: before the first is 0. One digit more
    // than is kept decides on rounding.
    (
        "read(given text, scale integer, part numeric) RETURNS numeric",
        "SELECT CASE WHEN digits = '' OR kept < 0 THEN 0 WHEN kept > 28 THEN NULL \
         ELSE (SELECT CASE WHEN mantissa < 1e28 THEN CASE WHEN negative THEN - mantissa ELSE mantissa END * part END \
         FROM (SELECT round(rpad(left(digits, (kept + 1)::integer), (kept + 1)::integer, '0')::numeric * 0.1)) \
         AS rounded(mantissa)) END FROM (SELECT negative, digits, scale + length(whole) - length(whole || fraction) \
         + length(digits) + CASE WHEN length(far) > 9 THEN 1000000000 \
         WHEN far = '' THEN 0 ELSE far::bigint END * CASE WHEN back THEN -1 ELSE 1 END AS kept \
         FROM (SELECT part[1] = '-' AS negative, part[2] AS whole, coalesce(part[3], '') AS fraction, \
         ltrim(part[2] || coalesce(part[3], ''), '0') AS digits, \
         coalesce(part[4], '') = '-' AS back, ltrim(coalesce(part[5], ''), '0') AS far \
         FROM regexp_match(mytism_trim(given), '^([-+]?)([0-9]*)(?:\\.([0-9]*))?(?:[eE]([-+]?)([0-9]+))?$') AS found(part) \
         WHERE mytism_is_number(given)) AS parts) AS placed",
    ),
];

/// Days and moments. A zone is a name, or its distance from UTC in seconds. A day is of the years 1 to 9999.
const TIMES: [(&str, &str); 14] = [
    ("day(given date) RETURNS date", "SELECT CASE WHEN given BETWEEN '0001-01-01' AND '9999-12-31' THEN given END"),
    (
        "local(given timestamptz, zone text) RETURNS timestamp",
        "SELECT CASE WHEN zone ~ '^-?[0-9]+$' THEN (given AT TIME ZONE 'UTC') + make_interval(secs => zone::integer) \
         ELSE given AT TIME ZONE zone END",
    ),
    (
        "in_time(given timestamptz) RETURNS timestamptz",
        "SELECT CASE WHEN given BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-30 22:00:00+00' THEN given END",
    ),
    // Of a time that the clocks show twice the engine takes the second; the first is meant. One that they leave out is
    // so much later for both.
    (
        "moment(given timestamp, zone text) RETURNS timestamptz",
        "SELECT mytism_in_time(CASE WHEN zone ~ '^-?[0-9]+$' \
         THEN (given - make_interval(secs => zone::integer)) AT TIME ZONE 'UTC' \
         ELSE (SELECT CASE WHEN early < late AND early AT TIME ZONE zone = given THEN early ELSE late END \
         FROM (SELECT late, (given - ((before AT TIME ZONE zone) - (before AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC' AS early \
         FROM (SELECT given AT TIME ZONE zone AS late, (given AT TIME ZONE zone) - interval '24 hours' AS before) AS one) \
         AS both_) END)",
    ),
    (
        "make_date(year bigint, month bigint, day bigint) RETURNS date",
        "SELECT CASE WHEN year BETWEEN 1 AND 9999 AND month BETWEEN 1 AND 12 AND day BETWEEN 1 AND 31 THEN \
         (SELECT CASE WHEN extract(month FROM found) = month THEN found END \
         FROM (SELECT make_date(year::integer, month::integer, 1) + (day - 1)::integer) AS made(found)) END",
    ),
    (
        "later(given date, count bigint, unit text) RETURNS date",
        "SELECT CASE WHEN unit IN ('year', 'quarter', 'month') THEN CASE WHEN count BETWEEN -120000 AND 120000 \
         AND extract(year FROM given) * 12 + extract(month FROM given) - 1 \
         + count * CASE unit WHEN 'year' THEN 12 WHEN 'quarter' THEN 3 ELSE 1 END BETWEEN -24 AND 120011 \
         THEN (given + make_interval(months => (count * CASE unit WHEN 'year' THEN 12 WHEN 'quarter' THEN 3 \
         ELSE 1 END)::integer))::date END \
         WHEN unit IN ('week', 'day') THEN CASE WHEN count BETWEEN -3660000 AND 3660000 \
         AND (given - date '0001-01-01') + count * CASE unit WHEN 'week' THEN 7 ELSE 1 END BETWEEN -400 AND 3652400 \
         THEN given + (count * CASE unit WHEN 'week' THEN 7 ELSE 1 END)::integer END END",
    ),
    (
        "date_add(given date, count bigint, unit text) RETURNS date",
        "SELECT mytism_day(mytism_later(given, count, unit))",
    ),
    // Days and more keep what the clocks show; hours and less are exact.
    (
        "moment_add(given timestamptz, count bigint, unit text, zone text) RETURNS timestamptz",
        "SELECT CASE WHEN count = 0 THEN given WHEN unit IN ('hour', 'minute', 'second') THEN \
         (SELECT CASE WHEN extract(epoch FROM given)::numeric + seconds BETWEEN -62135600000 AND 253402300000 \
         THEN mytism_in_time(given + make_interval(secs => seconds::double precision)) END \
         FROM (SELECT count::numeric * CASE unit WHEN 'hour' THEN 3600 WHEN 'minute' THEN 60 ELSE 1 END) AS later(seconds)) \
         ELSE (SELECT mytism_moment(mytism_later(local::date, count, unit) + local::time, zone) \
         FROM mytism_local(given, zone) AS local) END",
    ),
    (
        "months_between(first date, last date) RETURNS bigint",
        "SELECT (months - CASE WHEN months > 0 AND extract(day FROM last) < extract(day FROM first) THEN 1 \
         WHEN months < 0 AND extract(day FROM last) > extract(day FROM first) THEN -1 ELSE 0 END)::bigint \
         FROM (SELECT ((extract(year FROM last) - extract(year FROM first)) * 12 \
         + extract(month FROM last) - extract(month FROM first))::bigint) AS counted(months)",
    ),
    (
        "seconds_between(first timestamp, last timestamp) RETURNS bigint",
        "SELECT (extract(day FROM span) * 86400 + extract(hour FROM span) * 3600 + extract(minute FROM span) * 60 \
         + trunc(extract(second FROM span)::numeric)::bigint)::bigint FROM (SELECT last - first) AS between_(span)",
    ),
    // A day counts when its hours are full.
    (
        "date_diff(first timestamp, last timestamp, unit text) RETURNS bigint",
        "SELECT CASE unit WHEN 'year' THEN mytism_months_between(first::date, until) / 12 \
         WHEN 'quarter' THEN mytism_months_between(first::date, until) / 3 \
         WHEN 'month' THEN mytism_months_between(first::date, until) \
         WHEN 'week' THEN ((until - first::date) / 7)::bigint WHEN 'day' THEN (until - first::date)::bigint \
         ELSE mytism_seconds_between(first, last) / CASE unit WHEN 'hour' THEN 3600 WHEN 'minute' THEN 60 ELSE 1 END END \
         FROM (SELECT last::date - CASE WHEN last::date > first::date AND last::time < first::time THEN 1 \
         WHEN last::date < first::date AND last::time > first::time THEN -1 ELSE 0 END) AS full_(until)",
    ),
    (
        "moment_diff(first timestamptz, last timestamptz, unit text, zone text) RETURNS bigint",
        "SELECT CASE WHEN unit IN ('hour', 'minute', 'second') \
         THEN mytism_date_diff(first AT TIME ZONE 'UTC', last AT TIME ZONE 'UTC', unit) \
         ELSE mytism_date_diff(mytism_local(first, zone), mytism_local(last, zone), unit) END",
    ),
    (
        "start_of(given date, unit text) RETURNS date",
        "SELECT CASE WHEN unit IN ('year', 'quarter', 'month', 'week', 'day') \
         THEN mytism_day(date_trunc(unit, given::timestamp)::date) END",
    ),
    (
        "end_of(given date, unit text) RETURNS date",
        "SELECT CASE WHEN unit IN ('year', 'quarter', 'month', 'week', 'day') THEN \
         (SELECT CASE WHEN next_ <= '9999-12-31' THEN mytism_day(next_ - 1) END \
         FROM (SELECT (date_trunc(unit, given::timestamp) + CASE unit WHEN 'year' THEN interval '1 year' \
         WHEN 'quarter' THEN interval '3 months' WHEN 'month' THEN interval '1 month' \
         WHEN 'week' THEN interval '7 days' ELSE interval '1 day' END)::date) AS behind(next_)) END",
    ),
];

/// Values as text, and what is asked of a time by the clocks. A year before the first is 0 here.
const SHOWN: [(&str, &str); 6] = [
    (
        "year(given timestamp) RETURNS bigint",
        "SELECT (year + (year < 0)::integer)::bigint FROM extract(year FROM given) AS year",
    ),
    (
        "days_in_month(given timestamp) RETURNS bigint",
        "SELECT extract(day FROM date_trunc('month', given) + interval '1 month' - interval '1 day')::bigint",
    ),
    (
        "is_leap_year(given timestamp) RETURNS boolean",
        "SELECT year % 4 = 0 AND (year % 100 <> 0 OR year % 400 = 0) FROM mytism_year(given) AS year",
    ),
    (
        "show_time(given time) RETURNS text",
        "SELECT to_char(given::interval, 'HH24:MI:SS') || rtrim(rtrim(to_char(given::interval, '.US'), '0'), '.')",
    ),
    (
        "show_moment(given timestamptz) RETURNS text",
        "SELECT to_char(utc, 'YYYY-MM-DD\"T\"HH24:MI:SS') || rtrim(rtrim(to_char(utc, '.US'), '0'), '.') || 'Z' \
         FROM CAST(given AT TIME ZONE 'UTC' AS timestamp) AS utc",
    ),
    // The fewest digits that are read as this number. Of a power of 2 the engine shows one more than it takes.
    (
        "show_float(given double precision) RETURNS text SET extra_float_digits = 1",
        "SELECT CASE WHEN given < 0 THEN '-' ELSE '' END || CASE WHEN given = 0 THEN '0' \
         WHEN point BETWEEN -4 AND 17 THEN CASE WHEN point <= 0 THEN '0.' || repeat('0', - point) || digits \
         WHEN point >= length(digits) THEN rpad(digits, point, '0') \
         ELSE left(digits, point) || '.' || substr(digits, point + 1) END \
         ELSE left(digits, 1) || CASE WHEN length(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END \
         || 'e' || (point - 1) END FROM (SELECT point, coalesce(fewer, shown) AS digits FROM (\
         SELECT point, shown, CASE WHEN length(shown) > 2 AND right(encode(float8send(given), 'hex'), 13) = '0000000000000' \
         THEN (SELECT rtrim(candidate::text, '0') FROM (VALUES (left(shown, -1)::bigint), (left(shown, -1)::bigint + 1)) \
         AS near(candidate) WHERE (candidate || 'e' || (point - length(shown) + 1))::double precision = abs(given) \
         LIMIT 1) END AS fewer FROM (SELECT rtrim(ltrim(part[1] || part[2], '0'), '0') AS shown, \
         length(part[1]) + coalesce(part[3], '0')::integer \
         - (length(part[1] || part[2]) - length(ltrim(part[1] || part[2], '0'))) AS point \
         FROM regexp_match(abs(given)::text, '^([0-9]+)\\.?([0-9]*)(?:e([-+]?[0-9]+))?$') AS found(part)) AS parts) AS tried) \
         AS told",
    ),
];

/// Over anything that has an order; nothing where there is nothing among them.
const ANY: [(&str, &str); 2] = [
    (
        "greatest(given anyarray) RETURNS anyelement",
        "SELECT one FROM unnest(given) AS one ORDER BY one DESC NULLS FIRST LIMIT 1",
    ),
    (
        "least(given anyarray) RETURNS anyelement",
        "SELECT one FROM unnest(given) AS one ORDER BY one NULLS FIRST LIMIT 1",
    ),
];
