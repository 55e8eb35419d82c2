//! Columns in words, as SQL of the plain engine: other tools know none of the functions that the store adds.

use mytism_core::schema::{EnumWord, Kind};

use super::super::column::Form;

/// An expression that shows what stands in a column of a kind. References stay ids.
pub(super) fn readable(kind: &Kind, column: &str) -> String {
    match (kind, Form::of(kind)) {
        (Kind::Enum(words), _) => word(words, column),
        (_, Form::Bool) => format!("CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        (_, Form::Narrow { scale: 0 }) => format!("CAST({column} AS TEXT)"),
        (_, Form::Narrow { scale }) => narrow(column, scale),
        (_, Form::Wide { scale }) => wide(column, scale as usize),
        (_, Form::Datetime) => datetime(column),
        _ => column.to_owned(),
    }
}

fn word(words: &[EnumWord], column: &str) -> String {
    if words.is_empty() {
        return column.to_owned();
    }
    let one = |word: &EnumWord| format!(" WHEN {} THEN '{}'", word.id, word.name.replace('\'', "''"));
    format!("CASE {column}{} END", words.iter().map(one).collect::<String>())
}

fn narrow(column: &str, scale: u32) -> String {
    let unit = 10_i64.pow(scale.min(18));
    format!(
        "CASE WHEN {column} < 0 THEN '-' ELSE '' END || (abs({column}) / {unit}) || '.' || \
         printf('%0{scale}d', abs({column}) % {unit})"
    )
}

/// Seconds are rounded down, so that times before 1970 have positive fractions too.
fn datetime(column: &str) -> String {
    let fraction = format!("(({column} % 1000000 + 1000000) % 1000000)");
    format!(
        "strftime('%Y-%m-%dT%H:%M:%S', ({column} - {fraction}) / 1000000, 'unixepoch') || \
         CASE {fraction} WHEN 0 THEN '' ELSE rtrim(printf('.%06d', {fraction}), '0') END || 'Z'"
    )
}

/// The 16 bytes of a wide decimal in digits. The number has fewer than 94 bits, so its upper half fits into 32; long
/// division by 10 to the power of 14 takes the lower half 16 bits at a time, since the engine has 64 bits and no more.
fn wide(column: &str, scale: usize) -> String {
    const HALF: i64 = 100_000_000_000_000;
    let digit = |at: usize| format!("instr('123456789ABCDEF', substr(hex({column}), {at}, 1))");
    let number = |from: usize, digits: usize| {
        let terms =
            (0..digits).map(|index| format!("{} * {}", digit(from + index), 1_i64 << (4 * (digits - 1 - index))));
        terms.collect::<Vec<_>>().join(" + ")
    };
    let negative = format!("CASE WHEN {} < 8 THEN 4294967296 ELSE 0 END", digit(1));
    let mut division = format!("SELECT 0 AS q, {} - {negative} AS r", number(9, 8));
    for limb in 0..4 {
        let dividend = format!("(r * 65536 + {})", number(17 + 4 * limb, 4));
        division = format!("SELECT q * 65536 + {dividend} / {HALF} AS q, {dividend} % {HALF} AS r FROM ({division})");
    }
    // Both halves get one sign.
    let mixed = format!("SELECT q + (q < 0 AND r > 0) AS q, r - {HALF} * (q < 0 AND r > 0) AS r FROM ({division})");
    let digits = format!("SELECT q < 0 OR r < 0 AS sign, printf('%014d%014d', abs(q), abs(r)) AS d FROM ({mixed})");
    let whole = format!("coalesce(nullif(ltrim(substr(d, 1, {}), '0'), ''), '0')", 28 - scale.min(28));
    let point = if scale == 0 { String::new() } else { format!(" || '.' || substr(d, {})", 29 - scale.min(28)) };
    let text = format!("SELECT CASE WHEN sign THEN '-' ELSE '' END || {whole}{point} FROM ({digits})");
    format!("CASE WHEN {column} IS NULL THEN NULL ELSE ({text}) END")
}
