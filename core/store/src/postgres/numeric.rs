//! Exact numbers as they go over the line to PostgreSQL: digits of base 10,000 with the place of the first one.
//!
//! Written here, since a number that comes out of a sum may have more digits than our decimals: that must be told, not
//! rounded.

/// A number without fraction, and how many of its digits stand behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numeric {
    pub(super) mantissa: i128,
    pub(super) scale: u32,
}

/// Decimal digits in one digit of the line.
const WIDTH: u32 = 4;
const BASE: u128 = 10_000;
const NEGATIVE: u16 = 0x4000;

impl Numeric {
    /// The bytes on the line.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        // So many zeros behind that whole digits of the line stand behind the point.
        let padding = (WIDTH - self.scale % WIDTH) % WIDTH;
        let mut rest = self.mantissa.unsigned_abs();
        let mut digits: Vec<u16> = Vec::new();
        let mut behind_point = (self.scale + padding) / WIDTH;
        if padding > 0 {
            let unit = 10_u128.pow(WIDTH - padding);
            let low = (rest % unit) * 10_u128.pow(padding);
            rest /= unit;
            digits.push(digit(low));
        }
        while rest > 0 {
            digits.push(digit(rest % BASE));
            rest /= BASE;
        }
        // Zeros at the lower end are not said.
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let all_zero = zeros == digits.len();
        let count = digits.len();
        digits.drain(..zeros);
        if all_zero {
            behind_point = 0;
        }
        let first = i32::try_from(count).unwrap_or(i32::MAX) - 1 - i32::try_from(behind_point).unwrap_or(i32::MAX);
        let weight = if all_zero { 0 } else { i16::try_from(first).unwrap_or(i16::MAX) };
        let sign = if self.mantissa < 0 { NEGATIVE } else { 0 };
        let mut bytes = Vec::with_capacity(8 + 2 * digits.len());
        bytes.extend(u16::try_from(digits.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(u16::try_from(self.scale).unwrap_or(u16::MAX).to_be_bytes());
        digits.iter().rev().for_each(|digit| bytes.extend(digit.to_be_bytes()));
        bytes
    }

    /// The number behind such bytes with `scale` digits behind the point; `None` where it has more of them, is too large
    /// or is none.
    pub(super) fn read(bytes: &[u8], scale: u32) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let count = word(0)?;
        let weight = i16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
        let is_negative = match word(4)? {
            0 => false,
            NEGATIVE => true,
            _ => return None,
        };
        if bytes.len() != 8 + 2 * usize::from(count) {
            return None;
        }
        let mut mantissa: i128 = 0;
        for index in 0..usize::from(count) {
            mantissa = mantissa.checked_mul(10_000)?.checked_add(i128::from(word(8 + 2 * index)?))?;
        }
        let last = i32::from(weight) - i32::from(count) + 1;
        let exponent = last.checked_mul(4)?.checked_add(i32::try_from(scale).ok()?)?;
        let unit = 10_i128.checked_pow(exponent.unsigned_abs());
        let scaled = match (exponent >= 0, unit) {
            _ if mantissa == 0 => 0,
            (true, unit) => mantissa.checked_mul(unit?)?,
            (false, Some(unit)) if mantissa % unit == 0 => mantissa / unit,
            (false, _) => return None,
        };
        Some(Self { mantissa: if is_negative { -scaled } else { scaled }, scale })
    }
}

fn digit(number: u128) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(digits: &[u16], weight: i16, sign: u16, scale: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(digits.len()).unwrap().to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        digits.iter().for_each(|digit| bytes.extend(digit.to_be_bytes()));
        bytes
    }

    #[test]
    fn bytes_as_the_engine_has_them() {
        let check = |mantissa: i128, scale: u32, expected: Vec<u8>| {
            let number = Numeric { mantissa, scale };
            assert_eq!(number.to_bytes(), expected, "{mantissa} {scale}");
            assert_eq!(Numeric::read(&expected, scale), Some(number));
        };
        check(0, 2, bytes(&[], 0, 0, 2));
        check(1990, 2, bytes(&[19, 9000], 0, 0, 2));
        check(-1990, 2, bytes(&[19, 9000], 0, NEGATIVE, 2));
        check(1, 4, bytes(&[1], -1, 0, 4));
        check(5, 1, bytes(&[5000], -1, 0, 1));
        check(1_0000_0000, 0, bytes(&[1], 2, 0, 0));
        check(12_345_678, 0, bytes(&[1234, 5678], 1, 0, 0));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert_eq!(Numeric::read(&bytes(&[19, 9050], 0, 0, 3), 2), None);
        assert_eq!(Numeric::read(&bytes(&[1; 20], 19, 0, 0), 0), None);
        assert_eq!(Numeric::read(&bytes(&[], 0, 0xc000, 0), 2), None);
        assert_eq!(Numeric::read(&[0, 1, 0, 0, 0, 0, 0, 0], 2), None);
        assert_eq!(Numeric::read(&bytes(&[12], 0, 0, 0), 3), Some(Numeric { mantissa: 12_000, scale: 3 }));
    }

    proptest! {
        #[test]
        fn numbers_come_back(mantissa in -(10i128.pow(28))..10i128.pow(28), scale in 0u32..=28) {
            let number = Numeric { mantissa, scale };
            prop_assert_eq!(Numeric::read(&number.to_bytes(), scale), Some(number));
        }
    }
}
