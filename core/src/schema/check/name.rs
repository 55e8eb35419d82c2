//! What may be a name, and how names stand in messages.

use unicode_normalization::is_nfc;

use crate::failure::nearest;

/// The longest name of an entity, attribute or relation, in characters.
pub(super) const NAME_CHARS_MAX: usize = 60;

/// Why `name` may not be the name of an entity, attribute or relation; `None` where it may.
///
/// Letters of all scripts are fine. What has a meaning in queries, in file names or in mapping columns is not.
pub(super) fn objection(name: &str) -> Option<String> {
    let Some(first) = name.chars().next() else { return Some("a name may not be empty".to_owned()) };
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        return Some(format!("the name {} has more than {NAME_CHARS_MAX} characters", quoted(name)));
    }
    if first.is_numeric() || first == '-' {
        return Some(format!("the name {} begins with {first:?}, but names begin with a letter or _", quoted(name)));
    }
    if let Some(wrong) = name.chars().find(|letter| !may_stand(*letter)) {
        return Some(format!("the name {} holds {wrong:?}; letters, digits, _ and - may stand in names", quoted(name)));
    }
    if !is_nfc(name) {
        return Some(format!("the name {} is not in the normal form NFC", quoted(name)));
    }
    None
}

fn may_stand(letter: char) -> bool {
    // Quotes and brackets of other scripts look like those of queries; invisible signs make two names look like one.
    let confusing = matches!(letter,
        '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}' | '\u{3008}'..='\u{301f}'
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let punctuation = letter.is_ascii_punctuation() && !matches!(letter, '_' | '-');
    !(confusing || punctuation || letter.is_control() || letter.is_whitespace())
}

/// A name as given, in quotation marks, cut where it is long.
pub(super) fn quoted(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("\"{}…\"", name.get(..end).unwrap_or_default()),
        None => format!("\"{name}\""),
    }
}

/// "; did you mean …?" where a candidate is near, else nothing.
pub(super) fn suggestion<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, candidates).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_borders() {
        let check = |name: &str, valid: bool| assert_eq!(objection(name).is_none(), valid, "{name:?}");
        for name in ["A", "_", "Größe", "Ярлык", "顧客", "select", "Order", "a-b", "a1", &"ä".repeat(60)] {
            check(name, true);
        }
        for name in ["", " ", "a b", "a\u{a0}b", "a.b", "a\"b", "a'b", "a`b", "a[b", "a(b", "a{b", "a<b", "„a“", "«a»"]
        {
            check(name, false);
        }
        for name in ["a\0", "a\nb", "a\u{200b}", "1a", "-a", "a,b", "a$", "e\u{301}", &"ä".repeat(61)] {
            check(name, false);
        }
    }
}
