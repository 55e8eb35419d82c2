//! Saves as nobody would make them: everything that a request can say, about few objects, with few values.

use std::sync::atomic::{AtomicU64, Ordering};

use mytism_app::{App, Context};
use mytism_core::failure::{Failure, FailureKind};
use mytism_core::id::{SYSTEM_OBJECTS, TransactionId};
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, ImportBatch, ImportLinks, ImportMode, Input, ReferenceInput, Reply, Request,
    SaveRequest,
};
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_format::object::ObjectState;

const ENTITIES: [&str; 6] = ["Person", "Firm", "Parcel", "Line", "Group", "User"];
/// Past so many living objects new ones become rare, so that two people meet.
const CROWDED: usize = 14;
/// What the second transaction of an import says.
pub(super) const LINKS: &str = "links of an import";

/// What a save can be made of.
struct Pool<'s> {
    schema: &'s Schema,
    objects: Vec<ObjectState>,
    /// Labels of new objects of the same save, with their entities.
    labels: Vec<(String, &'s Entity)>,
}

impl<'s> Pool<'s> {
    fn of(app: &'s App) -> Self {
        let schema = &**app.schema();
        let ordinary = |state: &ObjectState| {
            let entity = schema.entity_by_id(state.entity).unwrap();
            ENTITIES.contains(&entity.name.as_str()) && state.id.get() >= SYSTEM_OBJECTS
        };
        let mut objects = app.view().unwrap().objects_after(0, 100_000).unwrap();
        objects.retain(ordinary);
        Self { schema, objects, labels: Vec::new() }
    }

    fn entity(&self, state: &ObjectState) -> &'s Entity {
        self.schema.entity_by_id(state.entity).unwrap()
    }

    fn reference(&self, member: &Member, dice: &mut Dice) -> Option<ReferenceInput> {
        let target = member.kind.target()?;
        let labels: Vec<_> = self.labels.iter().filter(|(_, entity)| entity.is_a(target)).collect();
        if dice.percent(40)
            && let Some((label, _)) = dice.pick(&labels)
        {
            return Some(ReferenceInput::Label(label.clone()));
        }
        let fitting: Vec<_> = self.objects.iter().filter(|state| self.entity(state).is_a(target)).collect();
        let alive: Vec<_> = fitting.iter().filter(|state| is_alive(state)).collect();
        let found = if dice.percent(95) { dice.pick(&alive).copied() } else { dice.pick(&fitting) };
        found.map(|state| ReferenceInput::Id(state.id))
    }

    fn input(&self, member: &Member, state: Option<&ObjectState>, dice: &mut Dice) -> Option<Input> {
        if dice.percent(12) {
            return Some(Input::Null);
        }
        let number = dice.below(if member.unique { 7 } else { 4 });
        Some(match &member.kind {
            Kind::String { .. } | Kind::Text => Input::Text(format!("w{number}")),
            Kind::Integer => Input::Number(number.to_string()),
            Kind::Decimal { .. } => Input::Number(format!("{number}.5")),
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
                let mut some = || (0..dice.below(3)).filter_map(|_| self.reference(member, dice)).collect::<Vec<_>>();
                let (add, mut remove) = (some(), some());
                let held = state.into_iter().flat_map(|state| &state.slots).map(|(slot, _)| slot);
                let held = held.filter(|slot| slot.attribute == member.id).filter_map(|slot| slot.element);
                let held: Vec<_> = held.collect();
                if dice.percent(50) {
                    remove = dice.pick(&held).map(|element| ReferenceInput::Id(*element)).into_iter().collect();
                }
                if number == 0 { Input::List(add) } else { Input::Difference { add, remove } }
            }
            Kind::ToMany { .. } | Kind::Owners { .. } => return None,
        })
    }

    fn values(
        &self,
        entity: &Entity,
        state: Option<&ObjectState>,
        percent: usize,
        dice: &mut Dice,
    ) -> Vec<(String, Input)> {
        let mut values = Vec::new();
        for member in &entity.members {
            let percent = match member.kind {
                Kind::ManyToMany { .. } => percent * 2,
                _ if member.not_null => percent.max(40),
                _ => percent,
            };
            if dice.percent(percent)
                && let Some(input) = self.input(member, state, dice)
            {
                values.push((member.name.clone(), input));
            }
        }
        values
    }

    fn change(&self, dice: &mut Dice) -> Vec<ChangeRequest> {
        // What is pending already may be refused, and what is built on it must go with it.
        let pending: Vec<_> = self.objects.iter().filter(|state| state.meta.version.is_none()).collect();
        let pending = if dice.percent(40) { dice.pick(&pending).copied() } else { None };
        let Some(state) = pending.or_else(|| dice.pick(&self.objects)) else { return Vec::new() };
        let entity = self.entity(state);
        let target = ChangeTarget::Object(state.id);
        let request = |values, delete| ChangeRequest { target: target.clone(), values, expect: Vec::new(), delete };
        let values = self.values(entity, Some(state), 25, dice);
        match dice.below(100) {
            0..12 => vec![request(Vec::new(), Some(true))],
            12..15 => vec![request(values, Some(true))],
            15..25 => vec![request(values, Some(false))],
            25..35 => vec![request(values, None), request(self.values(entity, Some(state), 25, dice), None)],
            35..45 => there_and_back(state, entity).map(|values| request(values, None)).to_vec(),
            _ => vec![request(values, None)],
        }
    }
}

fn is_alive(state: &ObjectState) -> bool {
    state.meta.life == mytism_core::change::Life::Alive
}

/// Two changes that together are none.
fn there_and_back(state: &ObjectState, entity: &Entity) -> [Vec<(String, Input)>; 2] {
    let member = entity.columns().find(|member| !member.unique && matches!(member.kind, Kind::String { .. }));
    let member = member.or_else(|| entity.columns().find(|member| matches!(member.kind, Kind::Integer)));
    let Some(member) = member else { return [Vec::new(), Vec::new()] };
    let (other, now) = match state.get(mytism_core::change::Slot::attribute(member.id)) {
        Value::Text(text) => ("elsewhere", Input::Text(text)),
        Value::Integer(number) => ("77", Input::Number(number.to_string())),
        _ => ("77", Input::Null),
    };
    [(member.name.clone(), Input::Text(other.into())), (member.name.clone(), now)].map(|value| vec![value])
}

/// A save that was acknowledged.
pub(super) struct Told {
    pub(super) id: TransactionId,
    /// What no other save says.
    pub(super) words: String,
}

/// What no other save says.
fn unique(what: &str) -> String {
    static SAID: AtomicU64 = AtomicU64::new(0);
    format!("{what} {}", SAID.fetch_add(1, Ordering::Relaxed))
}

/// A save by chance, with words of its own.
pub(super) fn draft(app: &App, dice: &mut Dice) -> SaveRequest {
    let mut pool = Pool::of(app);
    let alive = pool.objects.iter().filter(|state| is_alive(state)).count();
    let mut changes = Vec::new();
    for number in 0..1 + dice.below(3) {
        if dice.percent(if alive < CROWDED { 60 } else { 12 }) {
            let entity = pool.schema.entity(dice.pick(&ENTITIES).unwrap()).unwrap();
            let label = format!("n{number}");
            let target = ChangeTarget::New { label: label.clone(), entity: entity.name.clone() };
            let values = pool.values(entity, None, 60, dice);
            let delete = dice.percent(4).then_some(true);
            changes.push(ChangeRequest { target, values, expect: Vec::new(), delete });
            pool.labels.push((label, entity));
        } else {
            changes.extend(pool.change(dice));
        }
    }
    SaveRequest { description: unique("by chance"), changes }
}

/// Saves, or is refused for a reason that a user can have.
pub(super) fn save(app: &App, request: &SaveRequest) -> Option<Told> {
    match call(app, Request::Save(request.clone())) {
        Ok(Reply::Saved(saved)) => saved.transaction.map(|id| Told { id, words: request.description.clone() }),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            expected(&failure, &format!("{request:?}"));
            None
        }
    }
}

fn expected(failure: &Failure, what: &str) {
    const REASONS: [&str; 7] = [
        "duplicate-value",
        "value-required",
        "unknown-reference",
        "still-referenced",
        "unknown-object",
        "unknown-key",
        "key-required",
    ];
    let known = failure.kind == FailureKind::Refused && REASONS.contains(&failure.code.as_str());
    assert!(known || failure.code == "disk-full", "{failure:?}\n{what}");
}

fn call(app: &App, request: Request) -> Result<Reply, Failure> {
    let mut replies = Vec::new();
    app.call(&Context::local(), request, &mut |reply| {
        replies.push(reply);
        Ok(())
    })?;
    Ok(replies.pop().unwrap())
}

/// Rows whose keys stand more than once, with references that stay open at first.
pub(super) fn import(app: &App, dice: &mut Dice) -> Option<Told> {
    let columns = ["Code", "Label", "Owner"].map(str::to_owned).to_vec();
    let mut cell = |prefix: &str, empty: usize| {
        if dice.percent(empty) { None } else { Some(format!("{prefix}{}", dice.below(7))) }
    };
    let rows = (0..4).map(|_| vec![cell("w", 3), cell("l", 5), cell("w", 50)]).collect();
    let batch = ImportBatch {
        run: None,
        description: unique("an import"),
        entity: "Firm".to_owned(),
        key: None,
        columns,
        rows,
        mode: if dice.percent(80) { ImportMode::Upsert } else { ImportMode::Insert },
        skip_bad_rows: dice.percent(70),
        dry_run: dice.percent(10),
        ..ImportBatch::default()
    };
    let (dry_run, description) = (batch.dry_run, batch.description.clone());
    let imported = match call(app, Request::Import(batch)) {
        Ok(Reply::Imported(imported)) => imported,
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            expected(&failure, "an import");
            return None;
        }
    };
    let run = imported.run.filter(|_| !dry_run)?;
    if !imported.open.is_empty() {
        let links = ImportLinks { run, description: LINKS.to_owned(), links: imported.open };
        if let Err(failure) = call(app, Request::ImportLinks(links)) {
            expected(&failure, "links of an import");
        }
    }
    Some(Told { id: run, words: description })
}
