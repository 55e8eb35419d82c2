//! Rows of objects that no register names, among the objects that it does name: whoever compares two databases must see
//! them, since readers of all objects of an entity do. Knows no engine.

use mytism_core::id::ObjectId;
use mytism_format::object::ObjectState;

use crate::StoreError;

/// Objects by their ids; `None` where what is noted cannot be read as an object.
pub(crate) type Found = Vec<(ObjectId, Option<ObjectState>)>;

/// Up to which id a page of noted objects tells of all: where it is not full, there are no more of them.
pub(crate) fn end_of_page(found: &Found, rows: u32) -> i64 {
    let is_full = found.len() >= rows as usize;
    found.last().filter(|_| is_full).map_or(i64::MAX, |(last, _)| last.get())
}

/// The page with rows that are not noted, which came from each table in order and at most a page of them.
pub(crate) fn with_unnoted(mut found: Found, unnoted: Vec<i64>, rows: u32) -> Result<Found, StoreError> {
    if unnoted.is_empty() {
        return Ok(found);
    }
    for number in unnoted {
        let wrong = || StoreError::Damaged(format!("a row has the id {number}, which no object can have"));
        found.push((ObjectId::new(number).ok_or_else(wrong)?, None));
    }
    found.sort_by_key(|(id, _)| id.get());
    found.dedup_by_key(|(id, _)| id.get());
    found.truncate(rows as usize);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_noted_stands_between_what_is() {
        let noted = |ids: &[i64]| ids.iter().filter_map(|id| Some((ObjectId::new(*id)?, None))).collect::<Found>();
        let ids = |found: &Found| found.iter().map(|(id, _)| id.get()).collect::<Vec<_>>();
        assert_eq!(end_of_page(&noted(&[2, 5]), 2), 5);
        assert_eq!(end_of_page(&noted(&[2, 5]), 3), i64::MAX);
        assert_eq!(ids(&with_unnoted(noted(&[2, 5]), vec![4, 3, 4], 3).unwrap()), [2, 3, 4]);
        assert_eq!(ids(&with_unnoted(noted(&[2, 5]), Vec::new(), 2).unwrap()), [2, 5]);
        assert!(with_unnoted(noted(&[2]), vec![-1], 3).is_err());
    }
}
