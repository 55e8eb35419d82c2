//! What users do: saves about few objects with few values, so that people at different places meet.

use std::collections::BTreeMap;

use mytism_core::id::ObjectId;
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, ReferenceInput, SaveRequest};
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_disk_under_test::Dice;

use crate::oracle::reader::Sight;

const ENTITIES: [&str; 4] = ["Person", "Firm", "Bill", "Line"];
/// Past so many living objects new ones become rare.
const CROWDED: usize = 30;
/// Among the first of them people meet most.
const FAVOURITES: usize = 8;
/// The reasons for which a node may refuse what a simulated user asks for.
pub const REASONS: [&str; 9] = [
    "duplicate-value",
    "value-required",
    "unknown-reference",
    "still-referenced",
    "unknown-object",
    "unknown-key",
    "key-required",
    "object-deleted",
    "no-number",
];

type Shown = BTreeMap<ObjectId, Sight>;

struct Pool<'s> {
    schema: &'s Schema,
    /// Ordinary objects, living ones first.
    objects: Vec<(ObjectId, &'s Sight)>,
    alive: usize,
    labels: Vec<(String, &'s Entity)>,
    tag: &'s str,
}

/// A save by chance about what somebody sees.
pub fn draft(shown: &Shown, schema: &Schema, tag: &str, dice: &mut Dice) -> SaveRequest {
    let ordinary = |sight: &&Sight| {
        schema.entity_by_id(sight.entity).is_some_and(|entity| ENTITIES.contains(&entity.name.as_str()))
    };
    let mut objects: Vec<_> = shown.iter().filter(|(_, sight)| ordinary(sight)).map(|(id, s)| (*id, s)).collect();
    objects.sort_by_key(|(id, sight)| (!sight.is_alive(), *id));
    let alive = objects.iter().filter(|(_, sight)| sight.is_alive()).count();
    let mut pool = Pool { schema, objects, alive, labels: Vec::new(), tag };
    let mut changes = Vec::new();
    for number in 0..1 + dice.below(3) {
        if dice.percent(if alive < CROWDED { 60 } else { 15 }) {
            let name = dice.pick(&ENTITIES).unwrap();
            let entity = schema.entity(name).unwrap();
            let label = format!("n{number}");
            let target = ChangeTarget::New { label: label.clone(), entity: (*name).to_owned() };
            let values = pool.values(entity, None, 50, dice);
            changes.push(ChangeRequest { target, values, expect: Vec::new(), delete: None });
            pool.labels.push((label, entity));
        } else {
            changes.extend(pool.change(dice));
        }
    }
    SaveRequest { description: tag.to_owned(), changes }
}

impl<'s> Pool<'s> {
    fn change(&self, dice: &mut Dice) -> Option<ChangeRequest> {
        let end = match dice.below(100) {
            0..55 => self.alive.min(FAVOURITES),
            55..95 => self.alive,
            _ => self.objects.len(),
        };
        let (id, sight) = *dice.pick(&self.objects[..end])?;
        let entity = self.schema.entity_by_id(sight.entity)?;
        let (values, delete) = match dice.below(100) {
            0..9 => (Vec::new(), Some(true)),
            9..16 => (self.values(entity, Some(sight), 20, dice), Some(false)),
            _ => (self.values(entity, Some(sight), 30, dice), None),
        };
        Some(ChangeRequest { target: ChangeTarget::Object(id), values, expect: Vec::new(), delete })
    }

    fn reference(&self, member: &Member, dice: &mut Dice) -> Option<ReferenceInput> {
        let target = member.kind.target()?;
        let labels: Vec<_> = self.labels.iter().filter(|(_, entity)| entity.is_a(target)).collect();
        if dice.percent(40)
            && let Some((label, _)) = dice.pick(&labels)
        {
            return Some(ReferenceInput::Label(label.clone()));
        }
        let is_fit = |sight: &Sight| self.schema.entity_by_id(sight.entity).is_some_and(|entity| entity.is_a(target));
        let fitting: Vec<_> = self.objects[..self.alive].iter().filter(|(_, sight)| is_fit(sight)).collect();
        dice.pick(&fitting).map(|(id, _)| ReferenceInput::Id(*id))
    }

    fn input(&self, member: &Member, sight: Option<&Sight>, dice: &mut Dice) -> Option<Input> {
        if dice.percent(8) && !member.not_null {
            return Some(Input::Null);
        }
        let number = dice.below(9);
        Some(match &member.kind {
            Kind::String { .. } | Kind::Text if member.unique => match dice.below(10) {
                0..3 => Input::Text(format!("w{number}")),
                _ => Input::Text(format!("c{}", dice.throw() % 1_000_000)),
            },
            // Values that tell who lost them.
            Kind::String { .. } | Kind::Text if dice.percent(70) => Input::Text(format!("{number} of {}", self.tag)),
            Kind::String { .. } | Kind::Text => Input::Text(format!("w{number}")),
            Kind::Integer => Input::Number((number * 7).to_string()),
            Kind::Decimal { .. } => Input::Number(format!("{}.5", number * 8)),
            Kind::Bool => Input::Bool(number.is_multiple_of(2)),
            Kind::Date => Input::Text(format!("2020-01-0{}", number + 1)),
            Kind::Float => Input::Number(format!("{number}.25")),
            Kind::Time => Input::Text(format!("0{number}:30")),
            Kind::Uuid => Input::Text(format!("00000000-0000-0000-0000-00000000000{number}")),
            Kind::Json => Input::Text(format!("{{\"n\": {number}}}")),
            Kind::Datetime => Input::Text(format!("2020-01-0{}T00:00:00Z", number + 1)),
            // Contents lie beside what is tried here.
            Kind::Blob => return None,
            Kind::Enum(words) => Input::Text(dice.pick(words)?.name.clone()),
            Kind::ToOne { .. } => Input::Reference(self.reference(member, dice)?),
            Kind::ManyToMany { .. } => {
                let held = sight.into_iter().flat_map(|sight| sight.slots.keys());
                let held = held.filter(|slot| slot.attribute == member.id).filter_map(|slot| slot.element);
                let held: Vec<_> = held.collect();
                let add = (0..dice.below(3)).filter_map(|_| self.reference(member, dice)).collect();
                let out = if dice.percent(50) { dice.pick(&held) } else { None };
                let remove = out.map(|element| ReferenceInput::Id(*element)).into_iter().collect();
                Input::Difference { add, remove }
            }
            Kind::ToMany { .. } | Kind::Owners { .. } => return None,
        })
    }

    fn values(&self, entity: &Entity, sight: Option<&Sight>, percent: usize, dice: &mut Dice) -> Vec<(String, Input)> {
        let mut values = Vec::new();
        for member in &entity.members {
            let wanted = if member.not_null && sight.is_none() { 100 } else { percent };
            // Numbers are drawn.
            let is_drawn = member.name == "Number";
            if !is_drawn
                && dice.percent(wanted)
                && let Some(input) = self.input(member, sight, dice)
            {
                values.push((member.name.clone(), input));
            }
        }
        values
    }
}
