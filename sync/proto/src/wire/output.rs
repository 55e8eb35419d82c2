//! Mirrors of values on their way out.

use std::borrow::Cow;

use mytism_core::blob::Blob;
use mytism_core::operation::Output;
use mytism_core::value::Value;
use mytism_format::value::{read_value, value_bytes};
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::shape::DEPTH_MAX;
use crate::wire::mirror::need;
use crate::wire::tables::{named, tagged};
use crate::wire::{Flaw, Mirror};

/// A value in the form that it has in the log, as bytes: its extension types are no matter of the messages.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ValueForm<'a>(#[serde(with = "serde_bytes", borrow)] Cow<'a, [u8]>);

impl Mirror for Value {
    type Wire<'a> = ValueForm<'a>;

    fn to_wire(&self) -> Result<ValueForm<'_>, Flaw> {
        Ok(ValueForm(Cow::Owned(value_bytes(self))))
    }

    fn from_wire(wire: ValueForm<'_>) -> Result<Self, Flaw> {
        read_value(&wire.0).map_err(|error| Problem::Value(error).into())
    }
}

/// The content of a file, in the form of a value.
impl Mirror for Blob {
    type Wire<'a> = ValueForm<'a>;

    fn to_wire(&self) -> Result<ValueForm<'_>, Flaw> {
        Ok(ValueForm(Cow::Owned(value_bytes(&Value::Blob(Box::new(self.clone()))))))
    }

    fn from_wire(wire: ValueForm<'_>) -> Result<Self, Flaw> {
        if let Value::Blob(blob) = Value::from_wire(wire)? { Ok(*blob) } else { Err(Problem::NoBlob.into()) }
    }
}

const VALUE: u64 = 1;
const WORD: u64 = 2;
const REFERENCE: u64 = 3;
const LIST: u64 = 4;
const AWAY: u64 = 5;

tagged! {
    OutputForm { "v" value: ValueForm<'a>, "o" object: i64, "s" text: &'a str, "l" list: Vec<OutputForm<'a>> }
}
named! {
    Output as NamedOutputForm
}

impl Mirror for Output {
    type Wire<'a> = OutputForm<'a>;

    fn to_wire(&self) -> Result<OutputForm<'_>, Flaw> {
        output_form(self, DEPTH_MAX)
    }

    fn from_wire(wire: OutputForm<'_>) -> Result<Self, Flaw> {
        match wire.tag {
            VALUE => need("value", wire.value).map(Self::Value),
            WORD => need("text", wire.text).map(Self::Word),
            REFERENCE => Ok(Self::Reference { id: need("object", wire.object)?, text: need("text", wire.text)? }),
            LIST => need("list", wire.list).map(Self::List),
            AWAY => need("value", wire.value).map(Self::Away),
            unknown => Err(Problem::UnknownTag(unknown).into()),
        }
    }
}

/// `levels` bounds the recursion, whatever a caller has built; the shape of the whole body is checked behind it.
fn output_form(output: &Output, levels: usize) -> Result<OutputForm<'_>, Flaw> {
    Ok(match output {
        Output::Value(value) => OutputForm { value: Some(value.to_wire()?), ..OutputForm::of(VALUE) },
        Output::Word(word) => OutputForm { text: Some(word), ..OutputForm::of(WORD) },
        Output::Reference { id, text } => {
            OutputForm { object: Some(id.get()), text: Some(text), ..OutputForm::of(REFERENCE) }
        }
        Output::Away(blob) => OutputForm { value: Some(blob.to_wire()?), ..OutputForm::of(AWAY) },
        Output::List(list) => {
            let levels = levels.checked_sub(1).ok_or(Problem::TooDeep)?;
            let list: Result<_, Flaw> = list.iter().map(|element| output_form(element, levels)).collect();
            OutputForm { list: Some(list?), ..OutputForm::of(LIST) }
        }
    })
}
