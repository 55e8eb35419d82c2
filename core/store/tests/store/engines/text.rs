//! Random queries as texts, of kinds that fit.

use mytism_core::query::ResultKind;
use mytism_core::schema::{Entity, Kind, Schema};
use mytism_disk_under_test::Dice;

use super::data::{DAYS, FLOATS, INTEGERS, MOMENTS, TEXTS, TIMES, UUIDS};

/// What a value can be used as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Number,
    Text,
    Day,
    Moment,
    Bool,
    Float,
    Time,
    Uuid,
}

impl Sort {
    fn fits(self, kind: &Kind) -> bool {
        matches!(
            (ResultKind::of(kind), self),
            (Some(ResultKind::Integer | ResultKind::Decimal { .. }), Self::Number)
                | (Some(ResultKind::Text), Self::Text)
                | (Some(ResultKind::Date), Self::Day)
                | (Some(ResultKind::Datetime), Self::Moment)
                | (Some(ResultKind::Bool), Self::Bool)
                | (Some(ResultKind::Float), Self::Float)
                | (Some(ResultKind::Time), Self::Time)
                | (Some(ResultKind::Uuid), Self::Uuid)
        )
    }

    /// Whether no constant and no function has it by itself.
    const fn is_held(self) -> bool {
        matches!(self, Self::Float | Self::Time | Self::Uuid)
    }
}

pub(super) struct Writer<'a> {
    schema: &'a Schema,
    dice: &'a mut Dice,
    /// The entities of the objects that can be named, with their names.
    scopes: Vec<(&'a Entity, String)>,
}

fn backticks(name: &str) -> String {
    format!("`{name}`")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl<'a> Writer<'a> {
    pub(super) fn new(schema: &'a Schema, dice: &'a mut Dice) -> Self {
        Self { schema, dice, scopes: Vec::new() }
    }

    fn chance(&mut self, of: usize) -> bool {
        self.dice.below(of) == 0
    }

    fn pick<'b>(&mut self, from: &[&'b str]) -> &'b str {
        from[self.dice.below(from.len())]
    }

    /// A path of at most three steps to something that fits.
    fn path(&mut self, fits: impl Fn(&Kind) -> bool) -> Option<String> {
        for _ in 0..8 {
            let at = self.dice.below(self.scopes.len());
            let (mut entity, mut text) = self.scopes[at].clone();
            for _ in 0..3 {
                let members: Vec<_> = entity.columns().collect();
                let member = members[self.dice.below(members.len())];
                text = format!("{text}.{}", backticks(&member.name));
                if fits(&member.kind) {
                    return Some(text);
                }
                match member.kind.target() {
                    Some(target) => entity = self.schema.entity_by_id(target)?,
                    None => break,
                }
            }
        }
        None
    }

    /// The same through a cast to a sub-entity.
    fn cast(&mut self, fits: impl Fn(&Kind) -> bool) -> Option<String> {
        let (entity, text) = self.scopes[self.dice.below(self.scopes.len())].clone();
        let schema = self.schema;
        let below: Vec<&Entity> = schema.entities().filter(|one| one.is_a(entity.id) && one.id != entity.id).collect();
        let one = below.get(self.dice.below(below.len().max(1)))?;
        let own = one.columns().find(|member| member.declared_in == one.id && fits(&member.kind))?;
        Some(format!("{text}.({}){}", backticks(&one.name), backticks(&own.name)))
    }

    /// One of some sorts; of those that only attributes can have, one that an attribute has.
    fn sort(&mut self, sorts: &[Sort]) -> Sort {
        let sort = sorts[self.dice.below(sorts.len())];
        if sort.is_held() && self.held(sort).is_none() { Sort::Number } else { sort }
    }

    /// An attribute of an object that can be named.
    fn held(&mut self, sort: Sort) -> Option<String> {
        let mut found = Vec::new();
        for (entity, text) in &self.scopes {
            let fitting = entity.columns().filter(|member| sort.fits(&member.kind));
            found.extend(fitting.map(|member| format!("{text}.{}", backticks(&member.name))));
        }
        (!found.is_empty()).then(|| found.swap_remove(self.dice.below(found.len())))
    }

    /// Something of a sort that only attributes have.
    fn of_held(&mut self, sort: Sort, depth: usize) -> String {
        let held = self.held(sort).unwrap_or_else(|| "null".to_owned());
        if depth == 0 || self.chance(2) {
            return held;
        }
        let other = if self.chance(2) { self.constant(sort) } else { self.of_held(sort, depth - 1) };
        match self.dice.below(5) {
            0 => format!("greatest({held}, {other})"),
            1 => format!("least({held}, {other}, {held})"),
            2 => format!("coalesce({held}, {other})"),
            3 => format!("if({}, {held}, {other})", self.condition(depth - 1)),
            _ => format!("clamp({held}, {other}, {other})"),
        }
    }

    fn expression(&mut self, sort: Sort, depth: usize) -> String {
        if sort.is_held() {
            return self.of_held(sort, depth);
        }
        let fits = |kind: &Kind| sort.fits(kind);
        let held = if self.chance(6) { self.cast(fits) } else { self.path(fits) };
        match held {
            Some(path) if depth == 0 || self.chance(2) => path,
            _ if depth == 0 => self.constant(sort),
            _ => self.computed(sort, depth - 1),
        }
    }

    /// Something that has a kind of its own.
    fn constant(&mut self, sort: Sort) -> String {
        match sort {
            Sort::Number if self.chance(2) => self.pick(&["0.5", "19.99", "-3", "2", "0", "1e20"]).to_owned(),
            Sort::Number => self.pick(&INTEGERS).to_owned(),
            Sort::Text => literal(self.pick(&TEXTS)),
            Sort::Day => format!("date({})", literal(self.pick(&DAYS))),
            Sort::Moment => format!("datetime({})", literal(self.pick(&MOMENTS))),
            Sort::Bool => self.pick(&["true", "false"]).to_owned(),
            Sort::Float => self.pick(&FLOATS).to_owned(),
            Sort::Time => literal(self.pick(&TIMES)),
            Sort::Uuid => literal(self.pick(&UUIDS)),
        }
    }

    fn computed(&mut self, sort: Sort, depth: usize) -> String {
        if self.chance(5) {
            let (one, other) = (self.expression(sort, depth), self.expression(sort, depth));
            return match self.dice.below(3) {
                0 => format!("coalesce({one}, {other})"),
                1 => format!("nullif({one}, {other})"),
                _ => format!("if({}, {one}, {other})", self.condition(depth)),
            };
        }
        match sort {
            Sort::Number => self.number(depth),
            Sort::Text => self.text(depth),
            Sort::Day => self.day(depth),
            Sort::Moment => {
                let moment = self.expression(Sort::Moment, depth);
                let unit = self.pick(&["year", "month", "day", "hour", "minute"]);
                format!("date_add({moment}, {}, '{unit}')", self.pick(&["1", "-1", "400"]))
            }
            Sort::Bool => self.condition(depth),
            Sort::Float | Sort::Time | Sort::Uuid => self.of_held(sort, depth),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.dice.below(11) {
            8 => {
                let (a, b) = (self.expression(Sort::Number, depth), self.expression(Sort::Number, depth));
                let c = self.expression(Sort::Number, depth);
                match self.dice.below(4) {
                    0 => format!("greatest({a}, {b}, {c})"),
                    1 => format!("least({a}, {b})"),
                    2 => format!("clamp({a}, {b}, {c})"),
                    _ => format!("coalesce({a}, {b}, {c})"),
                }
            }
            9 => {
                let (a, b) = (self.expression(Sort::Number, depth), self.expression(Sort::Number, depth));
                match self.dice.below(4) {
                    0 => format!("div({a}, {b})"),
                    1 => format!("mod({a}, {b})"),
                    2 => format!("power({a}, {})", self.pick(&["0", "1", "2", "3", "7", "200", "-1"])),
                    _ => format!("truncate(({a} * {b}), {})", self.pick(&["0", "1", "18"])),
                }
            }
            10 => {
                let text = self.expression(Sort::Text, depth);
                match self.dice.below(3) {
                    0 => format!("decimal({text}, {})", self.pick(&["0", "2", "6"])),
                    1 => format!("position({text}, {})", literal(self.pick(&TEXTS))),
                    _ => format!("integer({})", self.expression(Sort::Number, depth)),
                }
            }
            0 | 1 => {
                let (a, b) = (self.expression(Sort::Number, depth), self.expression(Sort::Number, depth));
                format!("({a} {} {b})", self.pick(&["+", "-", "*", "/", "%"]))
            }
            2 => {
                let inner = self.expression(Sort::Number, depth);
                let function = self.pick(&["abs", "sign", "round", "floor", "ceiling", "truncate", "negate"]);
                format!("{function}({inner})")
            }
            3 => format!("round({}, 1)", self.expression(Sort::Number, depth)),
            4 => {
                let text = self.expression(Sort::Text, depth);
                format!("{}({text})", self.pick(&["length", "bytes", "words", "code", "integer"]))
            }
            5 => {
                let sort = if self.chance(2) { Sort::Day } else { Sort::Moment };
                let time = self.expression(sort, depth);
                let part = ["year", "quarter", "month", "week", "day", "weekday", "day_of_year", "hour", "minute"];
                format!("{}({time})", self.pick(&part))
            }
            6 => {
                let sort = if self.chance(2) { Sort::Day } else { Sort::Moment };
                let (a, b) = (self.expression(sort, depth), self.expression(sort, depth));
                format!("date_diff({a}, {b}, '{}')", self.pick(&["year", "month", "week", "day", "hour"]))
            }
            _ => self.within(depth, false),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        let text = self.expression(Sort::Text, depth);
        match self.dice.below(11) {
            0 | 7 => {
                let each = [
                    "lower",
                    "upper",
                    "trim",
                    "trim_start",
                    "trim_end",
                    "reverse",
                    "fold",
                    "plain",
                    "squeeze",
                    "capitalize",
                ];
                format!("{}({text})", self.pick(&each))
            }
            8 => {
                let held = self.path(|kind| {
                    matches!(kind, Kind::Float | Kind::Time | Kind::Uuid | Kind::Json | Kind::Decimal { .. })
                });
                held.map_or(text, |held| format!("text({held})"))
            }
            9 => {
                let fill = literal(self.pick(&["", "ab", "ß"]));
                let width = self.pick(&["-1", "3", "5"]);
                match self.dice.below(3) {
                    0 => format!("pad_end({text}, {width}, {fill})"),
                    1 => format!("substring({text}, {width}, 2)"),
                    _ => format!("(character({}) || {text})", self.pick(&["8364", "0", "55296", "1114112"])),
                }
            }
            10 => format!(
                "part(repeat({text}, {}), {}, {})",
                self.pick(&["0", "2", "3"]),
                literal(self.pick(&["a", "", "ß", " "])),
                self.pick(&["1", "-1", "2", "-3", "0"])
            ),
            1 => {
                format!("{}({text}, {})", self.pick(&["left", "right", "substring"]), self.pick(&["0", "1", "2", "-1"]))
            }
            2 => format!("replace({text}, {}, 'x')", literal(self.pick(&TEXTS))),
            3 => format!("({text} || {})", self.expression(Sort::Number, depth)),
            4 => format!("concat({text}, {})", self.expression(Sort::Day, depth)),
            5 => format!("pad_start({text}, 4, '0')"),
            _ => format!("text({})", self.expression(Sort::Moment, depth)),
        }
    }

    fn day(&mut self, depth: usize) -> String {
        let unit = self.pick(&["year", "quarter", "month", "week", "day"]);
        match self.dice.below(4) {
            0 => format!("date({})", self.expression(Sort::Moment, depth)),
            1 => format!("start_of({}, '{unit}')", self.expression(Sort::Day, depth)),
            2 => format!("end_of({}, '{unit}')", self.expression(Sort::Day, depth)),
            _ => {
                format!("date_add({}, {}, '{unit}')", self.expression(Sort::Day, depth), self.pick(&["1", "-1", "11"]))
            }
        }
    }

    /// A question about a relation to many, as a condition or as a number.
    fn within(&mut self, depth: usize, condition: bool) -> String {
        let (entity, text) = self.scopes[self.dice.below(self.scopes.len())].clone();
        let many = |kind: &Kind| matches!(kind, Kind::ToMany { .. } | Kind::ManyToMany { .. } | Kind::Owners { .. });
        let members: Vec<_> = entity.members.iter().filter(|member| many(&member.kind)).collect();
        if members.is_empty() || self.scopes.len() > 2 {
            return if condition { "true".to_owned() } else { "7".to_owned() };
        }
        let member = members[self.dice.below(members.len())];
        let target = self.schema.entity_by_id(member.kind.target().unwrap()).unwrap();
        let alias = format!("x{}", self.scopes.len());
        let relation = format!("within {text}.{} {alias}", backticks(&member.name));
        self.scopes.push((target, alias));
        let filter = self.condition(depth);
        let found = if condition {
            let all = self.chance(2);
            format!("{}({relation} where {filter})", if all { "for all" } else { "exists" })
        } else {
            let filter = if self.chance(2) { format!(" where {filter}") } else { String::new() };
            match self.dice.below(4) {
                0 => format!("count({relation}{filter})"),
                3 => format!("count({relation} of distinct {}{filter})", self.expression(Sort::Text, depth)),
                1 => {
                    let small = format!("length({})", self.expression(Sort::Text, depth));
                    format!("{}({relation} of {small}{filter})", self.pick(&["sum", "avg"]))
                }
                _ => {
                    let number = self.expression(Sort::Number, depth);
                    format!("{}({relation} of {number}{filter})", self.pick(&["min", "max"]))
                }
            }
        };
        self.scopes.pop();
        found
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && self.chance(3) {
            let (a, b) = (self.condition(depth - 1), self.condition(depth - 1));
            return match self.dice.below(3) {
                0 => format!("({a} and {b})"),
                1 => format!("({a} or {b})"),
                _ => format!("not ({a})"),
            };
        }
        let inner = depth.saturating_sub(1);
        match self.dice.below(9) {
            0 | 1 => {
                let sorts = [Sort::Number, Sort::Text, Sort::Day, Sort::Moment, Sort::Float, Sort::Time, Sort::Uuid];
                let sort = self.sort(&sorts);
                let (a, b) = (self.expression(sort, inner), self.expression(sort, inner));
                format!("{a} {} {b}", self.pick(&["=", "!=", "<", "<=", ">", ">="]))
            }
            2 => {
                let value = self.expression(Sort::Number, inner);
                let list = [self.constant(Sort::Number), self.constant(Sort::Number)].join(", ");
                let not = self.pick(&["", "not "]);
                format!("{value} {not}in ({list}{})", self.pick(&["", ", null"]))
            }
            3 => {
                let value = self.expression(Sort::Text, inner);
                let pattern = literal(self.pick(&["a%", "%S%", "_", "%\\_%", "İ", "%ß%", "", "ä%", "A "]));
                format!("{value} {} {pattern}", self.pick(&["like", "ilike", "not like"]))
            }
            4 => {
                let sort = if self.chance(2) { Sort::Day } else { Sort::Number };
                let parts: Vec<String> = (0..3).map(|_| self.expression(sort, 0)).collect();
                format!("{} between {} and {}", parts[0], parts[1], parts[2])
            }
            5 => {
                let path = self.path(|kind| ResultKind::of(kind).is_some()).unwrap_or_else(|| "null".to_owned());
                format!("{path} is {}null", self.pick(&["", "not "]))
            }
            6 if depth > 0 => self.within(inner, true),
            7 => self.instance(),
            _ => {
                let text = self.expression(Sort::Text, inner);
                let part = literal(self.pick(&TEXTS));
                format!("{}({text}, {part})", self.pick(&["contains", "starts_with", "ends_with", "differs"]))
            }
        }
    }

    fn instance(&mut self) -> String {
        let (entity, text) = self.scopes[self.dice.below(self.scopes.len())].clone();
        let schema = self.schema;
        let (path, of) = match entity.columns().find(|member| member.kind.target().is_some()) {
            Some(member) if self.chance(2) => {
                (format!("{text}.{}", backticks(&member.name)), member.kind.target().unwrap())
            }
            _ => (text, entity.id),
        };
        let below: Vec<&Entity> = schema.entities().filter(|one| one.is_a(of)).collect();
        format!("{path} instanceof {}", backticks(&below[self.dice.below(below.len())].name))
    }

    pub(super) fn query(mut self) -> String {
        let schema = self.schema;
        let entities: Vec<&Entity> = schema.entities().collect();
        let entity = entities[self.dice.below(entities.len())];
        self.scopes.push((entity, "o".to_owned()));
        let from = format!("from {} o", backticks(&entity.name));
        let filter = if self.chance(4) { String::new() } else { format!(" where {}", self.condition(3)) };
        let sorts =
            [Sort::Number, Sort::Text, Sort::Day, Sort::Moment, Sort::Bool, Sort::Float, Sort::Time, Sort::Uuid];
        match self.dice.below(4) {
            0 => {
                let key = self.expression(Sort::Text, 1);
                format!(
                    "{from}{filter} order by {key}{}",
                    self.pick(&["", " desc", " limit 3", " desc limit 4 offset 1"])
                )
            }
            1 => {
                let sort = self.sort(&sorts);
                let key = self.expression(sort, 1);
                let small = format!("length({})", self.expression(Sort::Text, 0));
                let number = self.expression(Sort::Number, 1);
                let select =
                    format!("{key} as k, count(*) as n, sum({small}) as s, avg({small}) as v, max({number}) as m");
                // A constant cannot be grouped by; something that depends on the object can.
                let held = self.held(Sort::Float).filter(|_| self.chance(2));
                let more = held.map(|held| format!(", sum({held}) as q, avg({held}) as r")).unwrap_or_default();
                let select = format!("{select}{more}, count(distinct {number}) as t");
                format!("select {select}, min({number}) + 1 as p {from}{filter} group by k order by n desc, k desc")
            }
            _ => {
                let columns: Vec<String> = (0..2)
                    .map(|at| {
                        let sort = self.sort(&sorts);
                        format!("{} as c{at}", self.expression(sort, 2))
                    })
                    .collect();
                format!(
                    "select o.id, {} {from}{filter} order by c0{}",
                    columns.join(", "),
                    self.pick(&["", " desc", ", c1"])
                )
            }
        }
    }
}
