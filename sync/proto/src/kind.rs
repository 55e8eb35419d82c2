//! The one table of messages: number, name, version and limit. A number is never used again for another message.

/// One kind of message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// Stands in the envelope.
    pub(crate) number: u16,
    /// For people: in errors, logs and the document.
    pub(crate) name: &'static str,
    /// Version of the body that this program writes. Readers take any and use the fields that they know.
    pub(crate) version: u8,
    /// Bytes of the body at most.
    pub(crate) limit: u32,
    /// Whether who does not know it may pass it over: a message that came later, and without which both sides go on as
    /// before.
    pub(crate) may_skip: bool,
}

/// For messages that carry no data of users, and for all that is said before the other side is known.
pub(crate) const SMALL: u32 = 64 << 10;
/// For everything else.
pub(crate) const LARGE: u32 = 64 << 20;

macro_rules! kinds {
    ($($constant:ident = $number:literal $name:literal $limit:ident $($skip:ident)?;)*) => {
        $(pub(crate) const $constant: Kind = Kind {
            number: $number, name: $name, version: 1, limit: $limit, may_skip: kinds!(@skip $($skip)?),
        };)*

        /// All of them, by number.
        pub(crate) const ALL: &[Kind] = &[$($constant),*];
    };
    (@skip) => { false };
    (@skip MAY_SKIP) => { true };
}

kinds! {
    HELLO = 0x0200 "Hello" SMALL;
    WELCOME = 0x0201 "Welcome" SMALL;
    REJECT = 0x0202 "Reject" SMALL;
    ROLL_BACK = 0x0203 "RollBack" SMALL;
    RENEW = 0x0204 "Renew" SMALL;
    RENEW_REQUEST = 0x0205 "RenewRequest" SMALL;
    RECOVER = 0x0206 "Recover" SMALL;
    TAIL_END = 0x0207 "TailEnd" SMALL;
    OFFER = 0x0210 "Offer" LARGE;
    ENTRIES = 0x0211 "Entries" LARGE;
    ACK = 0x0212 "Ack" SMALL;
    BLOCK_REQUEST = 0x0220 "BlockRequest" SMALL;
    BLOCK_GRANT = 0x0221 "BlockGrant" SMALL;
    LEASE_REQUEST = 0x0222 "LeaseRequest" LARGE MAY_SKIP;
    LEASE_GRANT = 0x0223 "LeaseGrant" LARGE MAY_SKIP;
    PING = 0x0230 "Ping" SMALL;
    PONG = 0x0231 "Pong" SMALL;
    JOIN = 0x0240 "Join" SMALL;
    JOIN_ACCEPT = 0x0241 "JoinAccept" SMALL;
    CHECK_BEGIN = 0x0248 "CheckBegin" SMALL;
    CHECK_READY = 0x0249 "CheckReady" SMALL;
    CHECK_WITHOUT = 0x024a "CheckWithout" LARGE;
    CHECK_RANGES = 0x024b "CheckRanges" SMALL;
    CHECK_PARTS = 0x024c "CheckParts" LARGE;
    CHECK_WANT = 0x024d "CheckWant" SMALL;
    CHECK_ENTRIES = 0x024e "CheckEntries" LARGE;
    CHECK_OBJECTS = 0x024f "CheckObjects" LARGE;
    DONE = 0x0254 "Done" SMALL;
    SNAPSHOT = 0x0255 "Snapshot" LARGE;
    HISTORY_WANT = 0x0256 "HistoryWant" SMALL;
    HISTORY = 0x0257 "History" LARGE;
    CONTENTS_BEGIN = 0x0270 "ContentsBegin" SMALL;
    CONTENT_WANT = 0x0271 "ContentWant" SMALL;
    CONTENT_RECIPE = 0x0272 "ContentRecipe" LARGE;
    CONTENT_MISSING = 0x0273 "ContentMissing" SMALL;
    CHUNK_WANT = 0x0278 "ChunkWant" SMALL;
    CHUNK = 0x0279 "Chunk" LARGE;
    CHUNK_MISSING = 0x027a "ChunkMissing" SMALL;

    REQUEST_STATUS = 0x0300 "Request.Status" SMALL;
    REQUEST_SAVE = 0x0301 "Request.Save" LARGE;
    REQUEST_QUERY = 0x0302 "Request.Query" LARGE;
    REQUEST_SHOW = 0x0303 "Request.Show" SMALL;
    REQUEST_HISTORY = 0x0304 "Request.History" SMALL;
    REQUEST_IMPORT = 0x0305 "Request.Import" LARGE;
    REQUEST_IMPORT_LINKS = 0x0306 "Request.ImportLinks" LARGE;
    REQUEST_NODES = 0x0307 "Request.Nodes" SMALL;
    REQUEST_ADD_NODE = 0x0308 "Request.AddNode" SMALL;
    REQUEST_CONFLICTS = 0x0309 "Request.Conflicts" SMALL;
    REQUEST_QUARANTINE = 0x030a "Request.Quarantine" SMALL;
    REQUEST_WATCH = 0x030b "Request.Watch" SMALL;
    REQUEST_STOP = 0x030c "Request.Stop" SMALL;
    REQUEST_UNDO = 0x0310 "Request.Undo" SMALL;
    REQUEST_RESOLVE_CONFLICT = 0x0314 "Request.ResolveConflict" SMALL;
    REQUEST_NUMBER_RANGES = 0x0318 "Request.NumberRanges" SMALL;
    REQUEST_VOID_NUMBERS = 0x0319 "Request.VoidNumbers" SMALL;
    REQUEST_SET_NEXT_NUMBER = 0x031a "Request.SetNextNumber" SMALL;
    REQUEST_CHANGES = 0x0320 "Request.Changes" SMALL;
    REQUEST_PASSED = 0x0321 "Request.Passed" SMALL;
    REQUEST_FOLLOWERS = 0x0322 "Request.Followers" SMALL;
    REQUEST_REMOVE_FOLLOWER = 0x0323 "Request.RemoveFollower" SMALL;
    REQUEST_LIVE = 0x0324 "Request.Live" LARGE;
    REQUEST_REFUSALS = 0x0338 "Request.Refusals" SMALL;
    REQUEST_REFUSAL = 0x0339 "Request.Refusal" SMALL;
    REQUEST_SETTLE = 0x033a "Request.Settle" LARGE;
    REQUEST_RECOVER = 0x0340 "Request.Recover" SMALL;
    REQUEST_CHECK_SYNC = 0x0347 "Request.CheckSync" SMALL;
    REQUEST_REST_LINES = 0x0348 "Request.RestLines" SMALL;
    REQUEST_SCHEMA = 0x034c "Request.Schema" SMALL;
    REQUEST_CHANGE_SCHEMA = 0x034d "Request.ChangeSchema" LARGE;
    REQUEST_BACKUP = 0x0350 "Request.Backup" SMALL;

    REQUEST_PUT_CONTENT = 0x0358 "Request.PutContent" LARGE;
    REQUEST_GET_CONTENT = 0x0359 "Request.GetContent" SMALL;
    REPLY_STATUS = 0x0380 "Reply.Status" LARGE;
    REPLY_SAVED = 0x0381 "Reply.Saved" LARGE;
    REPLY_OBJECT = 0x0382 "Reply.Object" LARGE;
    REPLY_ROW = 0x0383 "Reply.Row" LARGE;
    REPLY_HISTORY = 0x0384 "Reply.History" LARGE;
    REPLY_IMPORTED = 0x0385 "Reply.Imported" LARGE;
    REPLY_NODE = 0x0386 "Reply.Node" LARGE;
    REPLY_ACCOUNT = 0x0387 "Reply.Account" LARGE;
    REPLY_CONFLICT = 0x0388 "Reply.Conflict" LARGE;
    REPLY_QUARANTINED = 0x0389 "Reply.Quarantined" LARGE;
    REPLY_EVENT = 0x038a "Reply.Event" LARGE;
    REPLY_STOPPING = 0x038b "Reply.Stopping" SMALL;
    REPLY_UNDO_LINE = 0x0390 "Reply.UndoLine" LARGE;
    REPLY_UNDONE = 0x0391 "Reply.Undone" SMALL;
    REPLY_NUMBER_RANGE = 0x0398 "Reply.NumberRange" LARGE;
    REPLY_VOID_NUMBER = 0x0399 "Reply.VoidNumber" LARGE;
    REPLY_CHANGE = 0x03a0 "Reply.Change" LARGE;
    REPLY_REACHED = 0x03a1 "Reply.Reached" SMALL;
    REPLY_FOLLOWER = 0x03a2 "Reply.Follower" SMALL;
    REPLY_SPLICE = 0x03a3 "Reply.Splice" SMALL;
    REPLY_RECOVERY = 0x03b0 "Reply.Recovery" LARGE;
    REPLY_CHECKED = 0x03b4 "Reply.Checked" SMALL;
    REPLY_CONTENT_PUT = 0x03b8 "Reply.ContentPut" SMALL;
    REPLY_CONTENT_PART = 0x03b9 "Reply.ContentPart" LARGE;
    REPLY_SCHEMA = 0x03bc "Reply.Schema" LARGE;
    REPLY_SCHEMA_STEP = 0x03bd "Reply.SchemaStep" LARGE;
    REPLY_BACKING_UP = 0x03c0 "Reply.BackingUp" SMALL;
    REPLY_BACKED_UP = 0x03c1 "Reply.BackedUp" SMALL;
    END = 0x03f0 "End" SMALL;
    FAILURE = 0x03f1 "Failure" LARGE;
}

/// The kind with a number.
pub(crate) fn find(number: u16) -> Option<&'static Kind> {
    // The table is in the order of its numbers, which a test below checks.
    ALL.binary_search_by_key(&number, |kind| kind.number).ok().and_then(|place| ALL.get(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_so_that_none_stands_twice() {
        assert!(ALL.is_sorted_by(|a, b| a.number < b.number));
        assert!(ALL.iter().all(|kind| find(kind.number) == Some(kind)));
        assert_eq!(find(0x02ff), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn numbers_lie_in_the_range_of_their_set() {
        for kind in ALL {
            let of_clients =
                kind.name.starts_with("Re") && kind.name.contains('.') || matches!(kind.name, "End" | "Failure");
            let range = if of_clients { 0x0300..=0x03ff } else { 0x0200..=0x02ff };
            assert!(range.contains(&kind.number), "{kind:?}");
        }
    }
}
