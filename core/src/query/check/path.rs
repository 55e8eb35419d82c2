//! Names to paths: what a chain of names leads to, and what an expression is called.

use super::super::problem::{Problem, Span};
use super::super::syntax::Name;
use super::super::tree::{Aggregate, Expr, Measure, Node, Path, PathEnd, ResultKind};
use super::Checker;
use crate::failure::nearest;
use crate::id::AttributeId;
use crate::schema::{Entity, Kind, Member};

/// The most tables that a query may touch; an engine joins 64.
const TABLES_MAX: usize = 60;
/// The word for the id of an object, which every entity has.
const ID: &str = "id";

impl<'a> Checker<'a> {
    /// What the names lead to. The first one may be an alias.
    pub(super) fn path(&mut self, names: &'a [Name]) -> Result<Expr, Problem> {
        let (scope, mut entity, rest) = self.beginning(names);
        let mut path = Path { scope, via: Vec::new(), end: PathEnd::Object };
        let mut kind = ResultKind::Reference(entity.id);
        let mut from: Option<&Name> = None;
        for name in rest {
            if let (Some(before), PathEnd::Attribute(relation)) = (from, path.end) {
                // The id of what a reference leads to is what the reference holds.
                if is_id(name) && matches!(kind, ResultKind::Reference(_)) {
                    (kind, from) = (ResultKind::Integer, Some(name));
                    continue;
                }
                entity = self.target(&kind, before, name)?;
                path.via.push(relation);
                self.go_over(scope, &path.via, name.span)?;
            } else if from.is_some() {
                return Err(leads_nowhere(ID, "integer", name.span));
            }
            from = Some(name);
            if is_id(name) {
                kind = ResultKind::Integer;
                continue;
            }
            let member = self.member(entity, name, names)?;
            kind = ResultKind::of(&member.kind).ok_or_else(|| to_many(entity, member, name.span))?;
            path.end = PathEnd::Attribute(member.id);
        }
        Ok(Expr { node: Node::Path(path), kind })
    }

    /// Whose object names begin with, and those behind its alias.
    pub(super) fn beginning(&self, names: &'a [Name]) -> (usize, &'a Entity, &'a [Name]) {
        if let Some((first, rest)) = names.split_first()
            && let Some(at) = self.scopes.iter().rposition(|scope| scope.alias == Some(first.text.as_str()))
            && let Some(scope) = self.scopes.get(at)
        {
            return (at, scope.entity, rest);
        }
        (self.scopes.len().saturating_sub(1), self.innermost().entity, names)
    }

    /// The entity as which an object of `entity` is meant.
    fn cast(&self, entity: &'a Entity, name: &Name) -> Result<&'a Entity, Problem> {
        let Some(cast) = &name.cast else { return Ok(entity) };
        let found = self.schema.entity(&cast.text).filter(|found| found.is_a(entity.id));
        found.ok_or_else(|| {
            let below = self.schema.entities().filter(|below| below.is_a(entity.id));
            let near = nearest(&cast.text, below.map(|below| below.name.as_str()));
            let message = format!("there is no {} that is a {}", cast.text, entity.name);
            Problem::new("unknown-entity", message, cast.span).meant(near)
        })
    }

    /// The entity that `before` leads to, where it is a reference.
    pub(super) fn target(&self, kind: &ResultKind, before: &Name, name: &Name) -> Result<&'a Entity, Problem> {
        let ResultKind::Reference(target) = kind else {
            return Err(leads_nowhere(&before.text, kind.name(), name.span));
        };
        let found = self.schema.entity_by_id(*target);
        found.ok_or_else(|| leads_nowhere(&before.text, kind.name(), name.span))
    }

    pub(super) fn member(&self, entity: &'a Entity, name: &Name, names: &[Name]) -> Result<&'a Member, Problem> {
        let whole = entity;
        let entity = self.cast(entity, name)?;
        if name.cast.is_some() && whole.id != entity.id && whole.member(&name.text).is_some() {
            let message = format!("every {} has \"{}\", not just a {}", whole.name, name.text, entity.name);
            let problem = Problem::new("type-mismatch", message, name.span);
            return Err(problem.hint("leave the entity in parentheses out"));
        }
        entity.member(&name.text).ok_or_else(|| {
            let message = format!("{} has no attribute \"{}\"", entity.name, name.text);
            let problem = Problem::new("unknown-attribute", message, name.span);
            let is_first = names.first().is_some_and(|first| first.span == name.span);
            let alias = self.innermost().alias.filter(|_| is_first);
            let known = entity.members.iter().map(|member| member.name.as_str()).chain([ID]).chain(alias);
            if let Some(near) = nearest(&name.text, known) {
                return problem.meant(Some(near));
            }
            let below =
                self.schema.entities().find(|below| below.is_a(entity.id) && below.member(&name.text).is_some());
            match below {
                Some(below) => {
                    let hint = format!(
                        "{0}, which is a {1}, has it: write .({0}){2} behind a name",
                        below.name, entity.name, name.text
                    );
                    problem.hint(hint)
                }
                None if is_first && self.innermost().alias.is_none() && names.len() > 1 => {
                    problem.hint(format!("write \"from {} {}\" to call an object so", entity.name, name.text))
                }
                None => problem,
            }
        })
    }

    /// Takes note of a way, since every further one costs the engine a table or more.
    pub(super) fn go_over(&mut self, scope: usize, via: &[AttributeId], span: Span) -> Result<(), Problem> {
        if !self.ways.insert((scope, via.to_vec())) {
            return Ok(());
        }
        let target =
            via.last().and_then(|last| self.schema.member_by_id(*last)).and_then(|(_, last)| last.kind.target());
        let concrete =
            target.and_then(|target| self.schema.entity_by_id(target)).map_or(1, |found| found.concrete.len());
        self.touch(concrete, span)
    }

    /// Takes note of tables that an engine has to read.
    pub(super) fn touch(&mut self, tables: usize, span: Span) -> Result<(), Problem> {
        self.tables += tables.max(1);
        if self.tables > TABLES_MAX {
            let message = format!("the paths of this query lead over more than {TABLES_MAX} tables");
            return Err(Problem::new("query-too-large", message, span));
        }
        Ok(())
    }

    /// What a column is called that was given no name.
    pub(super) fn column_name(&self, expr: &Expr, span: Span) -> String {
        match &expr.node {
            Node::Path(path) => self.path_name(path, &expr.kind),
            Node::Aggregate { function, argument } => {
                let inner = argument.as_ref().map_or_else(|| "*".to_owned(), |argument| self.describe(argument));
                format!(
                    "{}({}{inner})",
                    function.name(),
                    if *function == Aggregate::Distinct { "distinct " } else { "" }
                )
            }
            _ => self.text.get(span.start..span.end).unwrap_or_default().to_owned(),
        }
    }

    /// An expression in a message.
    pub(super) fn describe(&self, expr: &Expr) -> String {
        match &expr.node {
            Node::Path(path) => self.path_name(path, &expr.kind),
            Node::Aggregate { function, .. } => format!("{}(…)", function.name()),
            Node::Value(value) if value.is_null() => "null".to_owned(),
            Node::Value(value) => format!("\"{value}\""),
            Node::Call { function, .. } => format!("the result of {}", function.name()),
            Node::Within(within) => match within.measure {
                Measure::Aggregate(function) => format!("{}(within …)", function.name()),
                _ => "the condition".to_owned(),
            },
            _ => "the condition".to_owned(),
        }
    }

    fn path_name(&self, path: &Path, kind: &ResultKind) -> String {
        let name = |id: AttributeId| self.schema.member_by_id(id).map_or_else(String::new, |(_, m)| m.name.clone());
        let mut names: Vec<String> = path.via.iter().map(|id| name(*id)).collect();
        match path.end {
            PathEnd::Object if *kind == ResultKind::Integer => names.push(ID.to_owned()),
            PathEnd::Object => {
                let scope = self.scopes.get(path.scope).copied().unwrap_or(self.outermost);
                names.push(scope.alias.unwrap_or(&scope.entity.name).to_owned());
            }
            PathEnd::Attribute(id) => {
                names.push(name(id));
                let is_relation =
                    self.schema.member_by_id(id).is_some_and(|(_, member)| member.kind.target().is_some());
                if is_relation && *kind == ResultKind::Integer {
                    names.push(ID.to_owned());
                }
            }
        }
        names.join(".")
    }
}

fn is_id(name: &Name) -> bool {
    name.text == ID && !name.quoted
}

fn leads_nowhere(name: &str, kind: &str, span: Span) -> Problem {
    let message = format!("\"{name}\" is of kind {kind} and leads to no object, so nothing can follow it");
    Problem::new("type-mismatch", message, span)
}

fn to_many(entity: &Entity, member: &Member, span: Span) -> Problem {
    let message = format!("\"{}\" of {} leads to many objects, a path goes over single ones", member.name, entity.name);
    let problem = Problem::new("to-many-path", message, span);
    match &member.kind {
        Kind::ToMany { .. } | Kind::ManyToMany { .. } | Kind::Owners { .. } => {
            problem.hint(format!("ask about them with: exists(within {} x where …)", member.name))
        }
        _ => problem,
    }
}
