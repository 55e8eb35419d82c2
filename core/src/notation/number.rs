//! Numbers as people write them: with groups of digits, a decimal comma, a currency sign. What could be meant in two
//! ways is not read.

use crate::input::{Misfit, quoted};

/// What stands before decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decimal {
    Comma,
    Point,
}

impl Decimal {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "," => Ok(Self::Comma),
            "." => Ok(Self::Point),
            _ => Err(Misfit(format!("{} is no decimal sign; it is \",\" or \".\"", quoted(text)))),
        }
    }

    const fn sign(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Point => '.',
        }
    }

    /// What may stand between groups of digits.
    fn is_group_sign(self, sign: char) -> bool {
        let other = if self == Self::Comma { '.' } else { ',' };
        sign == other || matches!(sign, '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}')
    }
}

/// A number with a point and no groups, as [`crate::input`] reads it, from one that is written as `decimal` says; `None`
/// where it is none.
pub(super) fn plain(text: &str, decimal: Option<Decimal>) -> Option<String> {
    let bare = Bare::new(text);
    let Some(decimal) = decimal else {
        // Nothing is known of the file: what has no currency is left as it stands.
        return Some(if bare.has_currency { format!("{}{}", bare.sign, bare.digits) } else { text.to_owned() });
    };
    let (mantissa, exponent) = match bare.digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (bare.digits, None),
    };
    let (whole, fraction) = match mantissa.split_once(decimal.sign()) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if fraction.is_some_and(|digits| !is_digits(digits)) || (whole.is_empty() && fraction.is_none()) {
        return None;
    }
    let mut number = format!("{}{}", bare.sign, without_groups(whole, decimal)?);
    if let Some(digits) = fraction {
        number.push('.');
        number.push_str(digits);
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if !is_digits(digits) {
            return None;
        }
        number.push('e');
        number.push_str(exponent);
    }
    Some(number)
}

pub(super) fn misfit(text: &str, decimal: Option<Decimal>) -> Misfit {
    let expected = match decimal {
        Some(Decimal::Comma) => "a number with a decimal comma, like 1234,50 or 1.234,50",
        Some(Decimal::Point) => "a number with a decimal point, like 1234.50 or 1,234.50",
        None => "a number with a point, like 1234.50",
    };
    Misfit(format!("{} is given, {expected} is expected", quoted(text)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits before the decimals; groups must be of three digits, but for the first, and parted by one sign.
fn without_groups(whole: &str, decimal: Decimal) -> Option<String> {
    if whole.is_empty() {
        return Some("0".to_owned());
    }
    let sign = whole.chars().find(|sign| decimal.is_group_sign(*sign));
    let Some(sign) = sign else { return is_digits(whole).then(|| whole.to_owned()) };
    let mut groups = whole.split(sign);
    let first = groups.next().filter(|first| is_digits(first) && first.len() <= 3)?;
    groups.try_fold(first.to_owned(), |number, group| {
        (is_digits(group) && group.len() == 3).then(|| format!("{number}{group}"))
    })
}

/// A number without what stands around it: a sign before or, as ledgers have it, behind it, and a currency on either
/// side.
struct Bare<'a> {
    sign: &'static str,
    has_currency: bool,
    digits: &'a str,
}

impl<'a> Bare<'a> {
    fn new(text: &'a str) -> Self {
        const MINUS: [char; 2] = ['-', '\u{2212}'];
        let mut bare = Self { sign: "", has_currency: false, digits: text.trim() };
        let mut is_signed = false;
        loop {
            let digits = bare.digits;
            if !is_signed {
                if let Some(rest) = digits.strip_prefix(MINUS).or_else(|| digits.strip_suffix(MINUS)) {
                    (bare.sign, bare.digits, is_signed) = ("-", rest.trim(), true);
                } else if let Some(rest) = digits.strip_prefix('+') {
                    (bare.digits, is_signed) = (rest.trim(), true);
                }
            }
            if !bare.has_currency
                && let Some(rest) = without_currency(bare.digits)
            {
                (bare.digits, bare.has_currency) = (rest.trim(), true);
            }
            if bare.digits.len() == digits.len() {
                return bare;
            }
        }
    }
}

/// The rest of a text that begins or ends with a currency: a sign as in `€`, or three capitals as in `EUR`.
fn without_currency(text: &str) -> Option<&str> {
    let is_sign = |sign: char| matches!(sign, '$' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}');
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let before = text.split_at_checked(3).filter(|(code, _)| is_code(code)).map(|(_, rest)| rest);
    let behind = || {
        let middle = text.len().checked_sub(3)?;
        text.split_at_checked(middle).filter(|(_, code)| is_code(code)).map(|(rest, _)| rest)
    };
    text.strip_prefix(is_sign).or_else(|| text.strip_suffix(is_sign)).or(before).or_else(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_dresses() {
        let check = |decimal: Option<Decimal>, text: &str, expected: Option<&str>| {
            assert_eq!(plain(text, decimal).as_deref(), expected, "{decimal:?} {text:?}");
        };
        let comma = |text: &str, expected: Option<&str>| check(Some(Decimal::Comma), text, expected);
        comma("1.234,50 €", Some("1234.50"));
        comma("1.234,50\u{a0}€", Some("1234.50"));
        comma("EUR 1.234.567,5", Some("1234567.5"));
        comma("-€5", Some("-5"));
        comma("€ -5,00", Some("-5.00"));
        comma("1 234,5", Some("1234.5"));
        comma("1\u{202f}234", Some("1234"));
        comma("CHF 1'234,50", Some("1234.50"));
        comma("12,50-", Some("-12.50"));
        comma("12,50- EUR", Some("-12.50"));
        comma("\u{2212}3", Some("-3"));
        comma("+3", Some("3"));
        comma(",5", Some("0.5"));
        comma("1,5E+03", Some("1.5e+03"));
        comma("1234567,8", Some("1234567.8"));
        for wrong in [
            "1.5",
            "1,234,567",
            "1.2345",
            "12.34,5",
            "1234.567,5",
            "5,",
            "5,-",
            "",
            "€",
            "1.234 567",
            "--5",
            "€€5",
            "abc",
            "1,2e",
            "1.234.",
            "1..234",
            "EURO 5",
            "5 EUR EUR",
            "-5-",
            "0x10",
            "1_000",
            "NaN",
        ] {
            comma(wrong, None);
        }
        let point = |text: &str, expected: Option<&str>| check(Some(Decimal::Point), text, expected);
        point("1,234.50", Some("1234.50"));
        point("$1,234.50", Some("1234.50"));
        point("1,234", Some("1234"));
        point("1.234", Some("1.234"));
        point("1.234,50", None);
        point("1,23", None);
        let unknown = |text: &str, expected: &str| check(None, text, Some(expected));
        unknown("12.50 €", "12.50");
        unknown("-£3", "-3");
        unknown("1.234,50 €", "1.234,50");
        unknown(" 1,5 ", " 1,5 ");
        unknown("5-", "5-");
    }
}
