//! Numbers of 64 bits with a floating point, for measurements: every one of them is a number, so that they have one order
//! and equal numbers are equal.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A finite number; −0 is 0.
#[derive(Clone, Copy, PartialEq)]
pub struct Float(f64);

impl Float {
    /// The number; `None` for what is none, and for the infinite ones.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        // Adding 0 turns −0 into 0 and leaves all others.
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number as the machine has it.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Float {
    /// The shortest text that is read as this number; very large and very small ones with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            0.0 | 1e-5..1e17 => write!(f, "{}", self.0),
            _ => write!(f, "{:e}", self.0),
        }
    }
}

impl fmt::Debug for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_numbers() {
        assert!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().all(|odd| Float::new(odd).is_none()));
        let (zero, minus) = (Float::new(0.0).unwrap(), Float::new(-0.0).unwrap());
        assert_eq!((zero, zero.get().to_bits()), (minus, minus.get().to_bits()));
        assert_eq!(zero.cmp(&minus), Ordering::Equal);
    }

    #[test]
    fn a_text_is_short_and_exact() {
        let check = |number: f64, expected: &str| {
            let text = Float::new(number).unwrap().to_string();
            assert_eq!(text, expected);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), (number + 0.0).to_bits());
        };
        check(0.1, "0.1");
        check(-0.0, "0");
        check(1e16, "10000000000000000");
        check(1e17, "1e17");
        check(-2.5e-7, "-2.5e-7");
        check(f64::MAX, "1.7976931348623157e308");
        check(f64::from_bits(1), "5e-324");
    }
}
