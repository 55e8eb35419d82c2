//! Numbers as people and programs write them, read digit by digit: nothing is rounded but once, and that where it is
//! asked for. Knows no kind and no schema.

use rust_decimal::Decimal;

/// The most digits of a number that is kept.
const DIGITS_MAX: u32 = 28;

/// A number as written: `-19.90`, `.5`, `1e3`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Written<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

/// A number brought to a scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scaled {
    /// The digits without the point, at most 28.
    pub(crate) mantissa: i128,
    /// Whether nothing was rounded away.
    pub(crate) exact: bool,
}

impl<'a> Written<'a> {
    /// Reads a number; white space may stand around it, and nothing else.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, read_exponent(exponent)?),
            None => (text, 0),
        };
        let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let some = !whole.is_empty() || !fraction.is_empty();
        let digits_alone = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        (some && digits_alone).then_some(Self { negative: digits.starts_with('-'), whole, fraction, exponent })
    }

    /// Brings it to `scale` digits behind the point, rounding half away from zero. `None` where that takes more than 28
    /// digits.
    pub(crate) fn at_scale(&self, scale: u32) -> Option<Scaled> {
        const LIMIT: i128 = 10_i128.pow(DIGITS_MAX);
        let mut digits = self.digits().peekable();
        let point = i64::try_from(self.whole.len()).ok()?.saturating_add(self.exponent);
        let kept = point.saturating_add(i64::from(scale));
        let mut mantissa: i128 = 0;
        for _ in 0..kept {
            // A row of zeros may be as long as it likes.
            if digits.peek().is_none() && mantissa == 0 {
                break;
            }
            mantissa = mantissa * 10 + i128::from(digits.next().unwrap_or(0));
            if mantissa >= LIMIT {
                return None;
            }
        }
        if kept >= 0 && digits.peek().is_some_and(|digit| *digit >= 5) {
            mantissa += 1;
        }
        let exact = digits.all(|digit| digit == 0);
        let mantissa = if self.negative { -mantissa } else { mantissa };
        (mantissa.abs() < LIMIT).then_some(Scaled { mantissa, exact })
    }

    /// The very number, with as few digits behind the point as it takes; `None` where it has more than 28 digits, or
    /// more than 28 behind the point.
    pub(crate) fn exact(&self) -> Option<Decimal> {
        let (mut scale, mut scaled) = (0, self.at_scale(0));
        // Zeros at the end take no place behind the point.
        while !scaled?.exact {
            scale += 1;
            scaled = if scale <= DIGITS_MAX { self.at_scale(scale) } else { None };
        }
        Decimal::try_from_i128_with_scale(scaled?.mantissa, scale).ok()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes()).map(|byte| byte.saturating_sub(b'0'))
    }
}

/// Beyond what fits any number its size does not matter.
fn read_exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(FAR).min(FAR);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_number() {
        let check = |text: &str, expected: bool| assert_eq!(Written::read(text).is_some(), expected, "{text:?}");
        for text in ["0", " -19.90 ", "+1", ".5", "5.", "1e3", "1E+3", "-.5e-999999999999999999999"] {
            check(text, true);
        }
        for text in
            ["", ".", "-", "e3", "1e", "1e+", "1e1.5", "1_000", "1,5", "0x10", "--1", "1 0", "٣", "inf", "1e1e1"]
        {
            check(text, false);
        }
    }

    #[test]
    fn rounding_is_done_once() {
        let check = |text: &str, scale: u32, expected: Option<(i128, bool)>| {
            let found = Written::read(text).unwrap().at_scale(scale);
            assert_eq!(found.map(|scaled| (scaled.mantissa, scaled.exact)), expected, "{text} at {scale}");
        };
        check("19.99", 2, Some((1999, true)));
        check("19.990", 2, Some((1999, true)));
        check("0.005", 2, Some((1, false)));
        check("-0.005", 2, Some((-1, false)));
        check("0.0049999999999999999999999999999999", 2, Some((0, false)));
        check("9.995", 2, Some((1000, false)));
        check("1e3", 2, Some((100_000, true)));
        check("12.5e-1", 2, Some((125, true)));
        check("5e-1", 0, Some((1, false)));
        check("5e-2", 0, Some((0, false)));
        check("5e-999999999999999999999", 0, Some((0, false)));
        check("0e999999999999999999999", 28, Some((0, true)));
        check("1e999999999999999999999", 0, None);
        check("9999999999999999999999999999", 0, Some((9_999_999_999_999_999_999_999_999_999, true)));
        check("9999999999999999999999999999.5", 0, None);
        check("10000000000000000000000000000", 0, None);
        check(&format!("{}1.5{}", "0".repeat(50_000), "0".repeat(50_000)), 1, Some((15, true)));
    }

    #[test]
    fn the_very_number_or_none() {
        let check = |text: &str, expected: Option<&str>| {
            let found = Written::read(text).unwrap().exact().map(|number| number.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("2.50", Some("2.5"));
        check("-0.000", Some("0"));
        check("1e3", Some("1000"));
        check("0.0000000000000000000000000001", Some("0.0000000000000000000000000001"));
        check("0.00000000000000000000000000001", None);
        check("1.00000000000000000000000000000001e0", None);
        check("99999999999999999999999999995e-1", None);
        check("1e400", None);
    }
}
