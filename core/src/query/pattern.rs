//! Patterns of `like` and `ilike`. One implementation serves every engine and the evaluation in memory, so that a
//! pattern fits the same texts everywhere.

/// A pattern: `%` stands for any text, `_` for one character; a backslash before `%`, `_` or `\` takes away that
/// meaning, and is itself before anything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
    blind: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Any,
    One,
    Character(char),
}

impl Pattern {
    /// The pattern of a text. A blind one takes characters for the same whose lower case is the same; nothing else is
    /// folded, so `ß` is not `ss`.
    #[must_use]
    pub fn new(pattern: &str, blind: bool) -> Self {
        let mut parts = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            let escaped = if character == '\\' { rest.next_if(|next| matches!(next, '%' | '_' | '\\')) } else { None };
            match (escaped, character) {
                (Some(plain), _) => parts.push(Part::Character(plain)),
                // Any number of them in a row means the same as one.
                (None, '%') if parts.last() == Some(&Part::Any) => {}
                (None, '%') => parts.push(Part::Any),
                (None, '_') => parts.push(Part::One),
                (None, plain) if blind => parts.extend(plain.to_lowercase().map(Part::Character)),
                (None, plain) => parts.push(Part::Character(plain)),
            }
        }
        Self { parts, blind }
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        if self.blind {
            let folded: String = text.chars().flat_map(char::to_lowercase).collect();
            self.fits_folded(&folded)
        } else {
            self.fits_folded(text)
        }
    }

    /// The text with which everything begins that fits; empty for blind patterns, since they know no such text.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.blind {
            return String::new();
        }
        self.parts
            .iter()
            .map_while(|part| if let Part::Character(plain) = part { Some(*plain) } else { None })
            .collect()
    }

    /// Goes on greedily and comes back to the last `%` alone, which is enough: what an earlier one could take, the
    /// last one can take too.
    fn fits_folded(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            let fits = match (self.parts.get(at), next) {
                (Some(Part::Any), _) => {
                    at += 1;
                    if at == self.parts.len() {
                        return true;
                    }
                    retry = Some((at, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(Part::One), Some(_)) => true,
                (Some(Part::Character(wanted)), Some(found)) => *wanted == found,
                _ => false,
            };
            if fits {
                at += 1;
                rest = ahead;
            } else {
                let Some((behind, from)) = retry.as_mut() else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *behind;
                rest = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        let check = |pattern: &str, text: &str, plain: bool, blind: bool| {
            assert_eq!(Pattern::new(pattern, false).fits(text), plain, "{pattern:?} {text:?}");
            assert_eq!(Pattern::new(pattern, true).fits(text), blind, "{pattern:?} {text:?} blind");
        };
        check("", "", true, true);
        check("", "a", false, false);
        check("%", "", true, true);
        check("_", "", false, false);
        check("_", "😀", true, true);
        check("Mün%", "München", true, true);
        check("mün%", "MÜNCHEN", false, true);
        check("%ß%", "STRASSE", false, false);
        check("%chen", "Münchenchen", true, true);
        check("a%b%c", "aXbXbc", true, true);
        check("a%b%c", "aXbXb", false, false);
        check("_a%", "ba", true, true);
        check("50\\%", "50%", true, true);
        check("50\\%", "500", false, false);
        check("a\\_b", "axb", false, false);
        check("C:\\d%", "C:\\dir", true, true);
        check("\\\\", "\\", true, true);
        check("a ", "a", false, false);
        check("\\", "\\", true, true);
    }

    #[test]
    fn prefixes_end_at_the_first_wildcard() {
        assert_eq!(Pattern::new("Ber%in", false).prefix(), "Ber");
        assert_eq!(Pattern::new("a\\%b_", false).prefix(), "a%b");
        assert_eq!(Pattern::new("Ber%", true).prefix(), "");
    }

    fn slowly(parts: &[Part], text: &[char]) -> bool {
        match parts.split_first() {
            None => text.is_empty(),
            Some((Part::Any, rest)) => (0..=text.len()).any(|from| slowly(rest, &text[from..])),
            Some((part, rest)) => text.split_first().is_some_and(|(first, behind)| {
                (*part == Part::One || *part == Part::Character(*first)) && slowly(rest, behind)
            }),
        }
    }

    proptest! {
        #[test]
        fn fits_as_the_definition_says(pattern in "[ab%_ä]{0,7}", text in "[abä]{0,7}") {
            let pattern = Pattern::new(&pattern, false);
            let characters: Vec<char> = text.chars().collect();
            prop_assert_eq!(pattern.fits(&text), slowly(&pattern.parts, &characters));
        }
    }
}
