//! Mirrors of values on their way in. Both forms can stand within each other, so every level counts.

use mytism_core::operation::{Input, ReferenceInput};

use crate::error::Problem;
use crate::shape::DEPTH_MAX;
use crate::wire::mirror::need;
use crate::wire::output::ValueForm;
use crate::wire::tables::{named, tagged};
use crate::wire::{Flaw, Mirror};

const NULL: u64 = 1;
const BOOL: u64 = 2;
const NUMBER: u64 = 3;
const TEXT: u64 = 4;
const REFERENCE: u64 = 5;
const LIST: u64 = 6;
const DIFFERENCE: u64 = 7;
const BLOB: u64 = 8;

tagged! {
    InputForm {
        "b" flag: bool, "s" text: &'a str, "r" reference: Box<ReferenceForm<'a>>,
        "l" list: Vec<ReferenceForm<'a>>, "x" remove: Vec<ReferenceForm<'a>>,
        "c" blob: ValueForm<'a>,
    }
}
named! {
    Input as NamedInputForm
}

impl Mirror for Input {
    type Wire<'a> = InputForm<'a>;

    fn to_wire(&self) -> Result<InputForm<'_>, Flaw> {
        input_form(self, DEPTH_MAX)
    }

    fn from_wire(wire: InputForm<'_>) -> Result<Self, Flaw> {
        match wire.tag {
            NULL => Ok(Self::Null),
            BOOL => need("flag", wire.flag).map(Self::Bool),
            NUMBER => need("text", wire.text).map(Self::Number),
            TEXT => need("text", wire.text).map(Self::Text),
            REFERENCE => need("reference", wire.reference.map(|boxed| *boxed)).map(Self::Reference),
            LIST => need("list", wire.list).map(Self::List),
            DIFFERENCE => Ok(Self::Difference { add: need("list", wire.list)?, remove: need("remove", wire.remove)? }),
            BLOB => need("blob", wire.blob).map(Self::Blob),
            unknown => Err(Problem::UnknownTag(unknown).into()),
        }
    }
}

/// `levels` bounds the recursion, whatever a caller has built; the shape of the whole body is checked behind it.
fn input_form(input: &Input, levels: usize) -> Result<InputForm<'_>, Flaw> {
    Ok(match input {
        Input::Null => InputForm::of(NULL),
        Input::Bool(flag) => InputForm { flag: Some(*flag), ..InputForm::of(BOOL) },
        Input::Number(digits) => InputForm { text: Some(digits), ..InputForm::of(NUMBER) },
        Input::Text(text) => InputForm { text: Some(text), ..InputForm::of(TEXT) },
        Input::Reference(reference) => {
            InputForm { reference: Some(Box::new(reference_form(reference, levels)?)), ..InputForm::of(REFERENCE) }
        }
        Input::List(list) => InputForm { list: Some(reference_forms(list, levels)?), ..InputForm::of(LIST) },
        Input::Blob(blob) => InputForm { blob: Some(blob.to_wire()?), ..InputForm::of(BLOB) },
        Input::Difference { add, remove } => InputForm {
            list: Some(reference_forms(add, levels)?),
            remove: Some(reference_forms(remove, levels)?),
            ..InputForm::of(DIFFERENCE)
        },
    })
}

const ID: u64 = 1;
const LABEL: u64 = 2;
const KEY: u64 = 3;

tagged! {
    ReferenceForm {
        "o" object: i64, "s" label: &'a str, "e" entity: &'a str, "a" attribute: &'a str, "v" value: Box<InputForm<'a>>,
    }
}

impl Mirror for ReferenceInput {
    type Wire<'a> = ReferenceForm<'a>;

    fn to_wire(&self) -> Result<ReferenceForm<'_>, Flaw> {
        reference_form(self, DEPTH_MAX)
    }

    fn from_wire(wire: ReferenceForm<'_>) -> Result<Self, Flaw> {
        match wire.tag {
            ID => need("object", wire.object).map(Self::Id),
            LABEL => need("label", wire.label).map(Self::Label),
            KEY => Ok(Self::Key {
                entity: need("entity", wire.entity)?,
                attribute: need("attribute", wire.attribute)?,
                value: need("value", wire.value.map(|boxed| *boxed))?,
            }),
            unknown => Err(Problem::UnknownTag(unknown).into()),
        }
    }
}

fn reference_form(reference: &ReferenceInput, levels: usize) -> Result<ReferenceForm<'_>, Flaw> {
    Ok(match reference {
        ReferenceInput::Id(object) => ReferenceForm { object: Some(object.get()), ..ReferenceForm::of(ID) },
        ReferenceInput::Label(label) => ReferenceForm { label: Some(label), ..ReferenceForm::of(LABEL) },
        ReferenceInput::Key { entity, attribute, value } => {
            let levels = levels.checked_sub(1).ok_or(Problem::TooDeep)?;
            ReferenceForm {
                entity: Some(entity),
                attribute: Some(attribute),
                value: Some(Box::new(input_form(value, levels)?)),
                ..ReferenceForm::of(KEY)
            }
        }
    })
}

fn reference_forms(references: &[ReferenceInput], levels: usize) -> Result<Vec<ReferenceForm<'_>>, Flaw> {
    references.iter().map(|reference| reference_form(reference, levels)).collect()
}
