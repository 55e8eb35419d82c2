//! Mirrors of what clients ask.

use mytism_core::id::{Hash, ObjectId, TransactionId};
use mytism_core::number::Number;
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, ChangesRequest, HistoryRequest, ImportBatch, ImportLinks, ImportMode, Input, Notation,
    OpenReference, QueryRequest, Request, SaveRequest, SettleRequest, Settling, UndoRequest,
};

use crate::error::Problem;
use crate::wire::mirror::need;
use crate::wire::tables::{messages, mirror, tagged, tags};
use crate::wire::{Flaw, Mirror};

#[cfg(test)]
pub(crate) use bodies::listed;
pub(crate) use bodies::{read, write};

messages! {
    Request;
    whole {
        REQUEST_SAVE Save(SaveRequest);
        REQUEST_QUERY Query(QueryRequest);
        REQUEST_LIVE Live(QueryRequest);
        REQUEST_IMPORT Import(ImportBatch);
        REQUEST_IMPORT_LINKS ImportLinks(ImportLinks);
        REQUEST_HISTORY History(HistoryRequest);
        REQUEST_UNDO Undo(UndoRequest);
        REQUEST_CHANGES Changes(ChangesRequest);
        REQUEST_SETTLE Settle(SettleRequest);
    }
    sole {}
    fields {
        REQUEST_STATUS Status {};
        REQUEST_SHOW Show { "o" object: ObjectId } optional { "t" as_of: String };
        REQUEST_NODES Nodes {};
        REQUEST_ADD_NODE AddNode { "a" name: String, "d" valid_days: u32 };
        REQUEST_CONFLICTS Conflicts {};
        REQUEST_RESOLVE_CONFLICT ResolveConflict { "c" conflict: ObjectId, "o" take_other: bool };
        REQUEST_QUARANTINE Quarantine {};
        REQUEST_REFUSALS Refusals {};
        REQUEST_REFUSAL Refusal { "p" number: u64 };
        REQUEST_PASSED Passed { "f" follower: String, "b" from: u64, "t" to: u64 };
        REQUEST_FOLLOWERS Followers {};
        REQUEST_REMOVE_FOLLOWER RemoveFollower { "f" follower: String };
        REQUEST_RECOVER Recover { "b" begin: bool, "w" without: Vec<String> };
        REQUEST_CHECK_SYNC CheckSync {};
        REQUEST_REST_LINES RestLines { "r" rest: bool };
        REQUEST_BACKUP Backup { "k" with_keys: bool };
        REQUEST_PUT_CONTENT PutContent { "d" data: Vec<u8>, "e" end: bool } optional { "u" upload: u64 };
        REQUEST_GET_CONTENT GetContent { "o" object: ObjectId, "a" attribute: String, "f" from: u64 };
        REQUEST_SCHEMA Schema {};
        REQUEST_CHANGE_SCHEMA ChangeSchema { "s" schema: Vec<u8>, "f" from: Hash, "a" apply: bool };
        REQUEST_WATCH Watch {};
        REQUEST_STOP Stop {};
        REQUEST_NUMBER_RANGES NumberRanges {};
        REQUEST_VOID_NUMBERS VoidNumbers {} optional { "r" range: String };
        REQUEST_SET_NEXT_NUMBER SetNextNumber { "r" range: String, "n" next: Number };
    }
}

mirror! {
    SaveRequest as SaveForm { "d" description: String, "c" changes: Vec<ChangeRequest> }
}
mirror! {
    ChangeRequest as ChangeForm {
        "o" target: ChangeTarget, "v" values: Vec<(String, Input)>, "x" expect: Vec<(String, Input)>,
    } optional { "d" delete: bool }
}
mirror! {
    QueryRequest as QueryForm { "q" text: String, "p" params: Vec<(String, Input)>, "d" deleted: bool }
    optional { "l" limit: u64, "t" as_of: String, "k" keys: bool, "e" entity: String, "x" explain: bool }
}
mirror! {
    HistoryRequest as HistoryForm { "o" object: ObjectId } optional { "a" attribute: String, "p" after: u64, "l" limit: u64 }
}
mirror! {
    UndoRequest as UndoForm { "i" id: TransactionId, "k" keep_later: bool, "n" dry_run: bool }
}
mirror! {
    SettleRequest as SettleForm { "p" number: u64, "a" action: Settling, "v" set: Vec<(String, Input)> }
}
mirror! {
    ImportBatch as ImportForm {
        "d" description: String, "e" entity: String, "c" columns: Vec<String>, "w" rows: Vec<Vec<Option<String>>>,
        "m" mode: ImportMode, "s" skip_bad_rows: bool, "n" dry_run: bool,
    } optional {
        "r" run: TransactionId, "k" key: String, "f" notation: Notation, "x" whole: bool, "p" preview: u32,
    }
}
mirror! {
    Notation as NotationForm {} optional { "d" decimal: String, "a" date: String, "z" zone: String }
}
mirror! {
    ChangesRequest as ChangesForm { "e" from_now: bool, "n" rows: u32, "w" wait: bool }
    optional { "f" follower: String, "a" after: u64 }
}
mirror! {
    ImportLinks as ImportLinksForm { "r" run: TransactionId, "d" description: String, "l" links: Vec<OpenReference> }
}
mirror! {
    OpenReference as OpenReferenceForm { "w" row: u64, "o" object: ObjectId, "a" attribute: String, "k" key: String }
}
tags! {
    Settling { 1 Retry, 2 Discard }
}
tags! {
    ImportMode { 1 Insert, 2 Update, 3 Upsert }
}

const NEW: u64 = 1;
const OBJECT: u64 = 2;

tagged! {
    TargetForm { "l" label: &'a str, "e" entity: &'a str, "o" object: i64 }
}

impl Mirror for ChangeTarget {
    type Wire<'a> = TargetForm<'a>;

    fn to_wire(&self) -> Result<TargetForm<'_>, Flaw> {
        Ok(match self {
            Self::New { label, entity } => {
                TargetForm { label: Some(label), entity: Some(entity), ..TargetForm::of(NEW) }
            }
            Self::Object(object) => TargetForm { object: Some(object.get()), ..TargetForm::of(OBJECT) },
        })
    }

    fn from_wire(wire: TargetForm<'_>) -> Result<Self, Flaw> {
        match wire.tag {
            NEW => Ok(Self::New { label: need("label", wire.label)?, entity: need("entity", wire.entity)? }),
            OBJECT => need("object", wire.object).map(Self::Object),
            unknown => Err(Problem::UnknownTag(unknown).into()),
        }
    }
}
