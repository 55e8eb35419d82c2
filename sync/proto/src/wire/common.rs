//! Mirrors of what many messages have: numbers, texts, bytes, ids, times and lists.

use mytism_core::id::{Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::number::Number;
use mytism_core::operation::StampView;
use mytism_core::time::Timestamp;
use serde_bytes::Bytes;

use crate::error::Problem;
use crate::wire::tables::mirror;
use crate::wire::{Flaw, Mirror};

mirror! {
    Position as PositionForm { "e" epoch: u32, "n" number: u64 }
}
mirror! {
    TransactionId as TransactionIdForm { "n" node: NodeId, "i" incarnation: u32, "c" counter: u64 }
}
mirror! {
    StampView as StampForm { "t" time: Timestamp, "u" user: String, "n" node: String }
}

/// Types that are sent as they are.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Mirror for $type {
            type Wire<'a> = Self;

            fn to_wire(&self) -> Result<Self, Flaw> {
                Ok(*self)
            }

            fn from_wire(wire: Self) -> Result<Self, Flaw> {
                Ok(wire)
            }
        }
    )*};
}
plain!(bool, u16, u32, u64);

impl Mirror for f64 {
    type Wire<'a> = Self;

    fn to_wire(&self) -> Result<Self, Flaw> {
        Self::from_wire(*self)
    }

    fn from_wire(wire: Self) -> Result<Self, Flaw> {
        if wire.is_finite() { Ok(wire) } else { Err(Problem::NotFinite.into()) }
    }
}

impl Mirror for String {
    type Wire<'a> = &'a str;

    fn to_wire(&self) -> Result<&str, Flaw> {
        Ok(self)
    }

    fn from_wire(wire: &str) -> Result<Self, Flaw> {
        Ok(wire.to_owned())
    }
}

impl Mirror for Vec<u8> {
    type Wire<'a> = &'a Bytes;

    fn to_wire(&self) -> Result<&Bytes, Flaw> {
        Ok(Bytes::new(self))
    }

    fn from_wire(wire: &Bytes) -> Result<Self, Flaw> {
        Ok(wire.to_vec())
    }
}

impl Mirror for [u8; 32] {
    type Wire<'a> = &'a Bytes;

    fn to_wire(&self) -> Result<&Bytes, Flaw> {
        Ok(Bytes::new(self))
    }

    fn from_wire(wire: &Bytes) -> Result<Self, Flaw> {
        let bytes: &[u8] = wire;
        bytes.try_into().map_err(|_| Problem::Length { found: bytes.len(), wanted: 32 }.into())
    }
}

impl Mirror for Hash {
    type Wire<'a> = &'a Bytes;

    fn to_wire(&self) -> Result<&Bytes, Flaw> {
        self.0.to_wire()
    }

    fn from_wire(wire: &Bytes) -> Result<Self, Flaw> {
        Mirror::from_wire(wire).map(Self)
    }
}

impl Mirror for NodeId {
    type Wire<'a> = u32;

    fn to_wire(&self) -> Result<u32, Flaw> {
        Ok(self.0)
    }

    fn from_wire(wire: u32) -> Result<Self, Flaw> {
        Ok(Self(wire))
    }
}

impl Mirror for ObjectId {
    type Wire<'a> = i64;

    fn to_wire(&self) -> Result<i64, Flaw> {
        Ok(self.get())
    }

    fn from_wire(wire: i64) -> Result<Self, Flaw> {
        Self::new(wire).ok_or_else(|| Problem::ObjectId(wire).into())
    }
}

impl Mirror for Number {
    type Wire<'a> = i64;

    fn to_wire(&self) -> Result<i64, Flaw> {
        Ok(self.0)
    }

    fn from_wire(wire: i64) -> Result<Self, Flaw> {
        Ok(Self(wire))
    }
}

impl Mirror for Timestamp {
    type Wire<'a> = i64;

    fn to_wire(&self) -> Result<i64, Flaw> {
        Ok(self.micros())
    }

    fn from_wire(wire: i64) -> Result<Self, Flaw> {
        Self::from_micros(wire).ok_or_else(|| Problem::Time(wire).into())
    }
}

impl<T: Mirror> Mirror for Option<T> {
    type Wire<'a>
        = Option<T::Wire<'a>>
    where
        T: 'a;

    fn to_wire(&self) -> Result<Self::Wire<'_>, Flaw> {
        self.as_ref().map(Mirror::to_wire).transpose()
    }

    fn from_wire(wire: Self::Wire<'_>) -> Result<Self, Flaw> {
        wire.map(T::from_wire).transpose()
    }
}

impl<T: Mirror> Mirror for Box<T> {
    type Wire<'a>
        = T::Wire<'a>
    where
        T: 'a;

    fn to_wire(&self) -> Result<Self::Wire<'_>, Flaw> {
        self.as_ref().to_wire()
    }

    fn from_wire(wire: Self::Wire<'_>) -> Result<Self, Flaw> {
        T::from_wire(wire).map(Self::new)
    }
}

impl<T: Mirror> Mirror for Vec<T> {
    type Wire<'a>
        = Vec<T::Wire<'a>>
    where
        T: 'a;

    fn to_wire(&self) -> Result<Self::Wire<'_>, Flaw> {
        let mut wire = Vec::with_capacity(self.len());
        for (place, element) in self.iter().enumerate() {
            wire.push(element.to_wire().map_err(|flaw| flaw.at(place))?);
        }
        Ok(wire)
    }

    fn from_wire(wire: Self::Wire<'_>) -> Result<Self, Flaw> {
        let mut list = Self::with_capacity(wire.len());
        for (place, element) in wire.into_iter().enumerate() {
            list.push(T::from_wire(element).map_err(|flaw| flaw.at(place))?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        fn check<T: Mirror>(wire: T::Wire<'_>, problem: Problem) {
            assert_eq!(T::from_wire(wire).err(), Some(Flaw::from(problem)));
        }
        check::<ObjectId>(0, Problem::ObjectId(0));
        check::<ObjectId>(-1, Problem::ObjectId(-1));
        check::<ObjectId>(1 << 53, Problem::ObjectId(1 << 53));
        check::<Timestamp>(i64::MIN, Problem::Time(i64::MIN));
        check::<Timestamp>(253_402_300_800_000_000, Problem::Time(253_402_300_800_000_000));
        check::<Hash>(Bytes::new(&[0; 31]), Problem::Length { found: 31, wanted: 32 });
        check::<Hash>(Bytes::new(&[0; 33]), Problem::Length { found: 33, wanted: 32 });
        check::<[u8; 32]>(Bytes::new(&[]), Problem::Length { found: 0, wanted: 32 });
        check::<f64>(f64::NAN, Problem::NotFinite);
        check::<f64>(f64::NEG_INFINITY, Problem::NotFinite);
        assert!(f64::INFINITY.to_wire().is_err());
    }

    #[test]
    fn borders_are_taken() {
        assert_eq!(ObjectId::from_wire(1).map(ObjectId::get), Ok(1));
        assert_eq!(ObjectId::from_wire((1 << 53) - 1).map(ObjectId::get), Ok((1 << 53) - 1));
        assert_eq!(Timestamp::from_wire(253_402_207_200_000_000).map(Timestamp::micros), Ok(253_402_207_200_000_000));
        assert_eq!(Hash::from_wire(Bytes::new(&[7; 32])), Ok(Hash([7; 32])));
    }
}
