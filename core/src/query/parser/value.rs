//! The part of the grammar below comparisons: arithmetic, literals, calls and paths.

use super::super::function::{self, Signature};
use super::super::lexer::TokenKind;
use super::super::problem::{Problem, Span};
use super::super::syntax::{Name, Syntax, SyntaxNode, WithinSyntax};
use super::super::tree::{Aggregate, Measure};
use super::{LIST_MAX, Parser, is_keyword};
use crate::failure::nearest;

/// The most signs of arithmetic in one query.
const OPERATIONS_MAX: usize = 200;
/// Functions that ask for the time.
const CLOCKS: [&str; 2] = ["now", "today"];
/// Functions that ask about the objects of a relation.
const QUANTIFIERS: [&str; 2] = ["exists", "all"];

impl Parser<'_> {
    /// Terms between which `+`, `-` or `||` stand.
    pub(super) fn sum(&mut self) -> Result<Syntax, Problem> {
        self.operations(&["+", "-", "||"], Self::term)
    }

    fn term(&mut self) -> Result<Syntax, Problem> {
        self.operations(&["*", "/", "%"], Self::operand)
    }

    /// What stands further left is done first.
    fn operations(
        &mut self,
        signs: &[&'static str],
        part: fn(&mut Self) -> Result<Syntax, Problem>,
    ) -> Result<Syntax, Problem> {
        let mut left = part(self)?;
        while let Some(sign) = signs.iter().copied().find(|sign| self.take_sign(sign)) {
            let at = self.before();
            let right = part(self)?;
            let span = left.span.to(right.span);
            left = Syntax { node: self.operation(sign, vec![left, right], at)?, span };
        }
        Ok(left)
    }

    fn operation(&mut self, name: &str, arguments: Vec<Syntax>, span: Span) -> Result<SyntaxNode, Problem> {
        self.operations += 1;
        if self.operations > OPERATIONS_MAX {
            let message = format!("a query holds at most {OPERATIONS_MAX} signs of arithmetic");
            return Err(Problem::new("query-too-large", message, span));
        }
        let signature = function::called(name).ok_or_else(|| self.unexpected("a value"))?;
        Ok(SyntaxNode::Call { signature, arguments })
    }

    pub(super) fn operand(&mut self) -> Result<Syntax, Problem> {
        let token = self.peek();
        let span = token.span;
        let node = match &token.kind {
            TokenKind::Number(digits) => SyntaxNode::Number(digits.clone()),
            TokenKind::Text(text) => SyntaxNode::Text(text.clone()),
            TokenKind::Parameter(name) => SyntaxNode::Parameter(name.clone()),
            TokenKind::Sign("-") => return self.negative(),
            TokenKind::Sign("(") => {
                self.at += 1;
                let inner = self.deeper(span, Self::expression)?;
                self.demand_close("\")\"")?;
                return Ok(Syntax { node: inner.node, span: span.to(self.before()) });
            }
            TokenKind::Quoted(_) => return self.path(),
            TokenKind::Word(word) => return self.word(word),
            TokenKind::Sign(_) | TokenKind::End => return Err(self.unexpected("an attribute or a value")),
        };
        self.at += 1;
        Ok(Syntax { node, span })
    }

    /// A number with a sign is one literal; before anything else the sign is arithmetic.
    fn negative(&mut self) -> Result<Syntax, Problem> {
        let start = self.peek().span;
        self.at += 1;
        let token = self.peek();
        if let TokenKind::Number(digits) = &token.kind {
            self.at += 1;
            return Ok(Syntax { node: SyntaxNode::Number(format!("-{digits}")), span: start.to(token.span) });
        }
        let inner = self.deeper(start, Self::operand)?;
        let span = start.to(inner.span);
        Ok(Syntax { node: self.operation("negate", vec![inner], start)?, span })
    }

    fn word(&mut self, word: &str) -> Result<Syntax, Problem> {
        let span = self.peek().span;
        match self.peek_behind() {
            // Whatever has a dot behind it is a name.
            TokenKind::Sign(".") => return self.path(),
            TokenKind::Sign("(") if !is_keyword(word) => return self.call(word),
            TokenKind::Word(next) if word.eq_ignore_ascii_case("for") && next.eq_ignore_ascii_case("all") => {
                self.at += 1;
                return self.call("all");
            }
            _ => {}
        }
        let node = match word.to_ascii_lowercase().as_str() {
            "true" => SyntaxNode::Bool(true),
            "false" => SyntaxNode::Bool(false),
            "null" => SyntaxNode::Null,
            _ if is_keyword(word) => return Err(self.unexpected("an attribute or a value")),
            _ => return self.path(),
        };
        self.at += 1;
        Ok(Syntax { node, span })
    }

    fn call(&mut self, word: &str) -> Result<Syntax, Problem> {
        let span = self.peek().span;
        let wanted = word.to_ascii_lowercase();
        let aggregate = Aggregate::ALL.into_iter().find(|function| function.name() == wanted);
        let signature = function::called(word);
        let is_quantifier = QUANTIFIERS.contains(&wanted.as_str());
        let is_clock = CLOCKS.contains(&wanted.as_str());
        if aggregate.is_none() && signature.is_none() && !is_quantifier && !is_clock {
            return Err(unknown(word, span));
        }
        self.at += 1;
        self.demand_sign("(")?;
        let node = match (aggregate, signature) {
            (Some(function), _) if self.is_word("within") => self.within(Measure::Aggregate(function), span)?,
            (Some(function), _) => self.aggregate(function, span)?,
            (None, Some(signature)) => self.arguments(signature, span)?,
            (None, None) if is_clock => SyntaxNode::Clock { day: wanted == "today" },
            (None, None) if wanted == "exists" => self.within(Measure::Exists, span)?,
            (None, None) => self.within(Measure::ForAll, span)?,
        };
        self.demand_close("\")\"")?;
        let syntax = Syntax { node, span: span.to(self.before()) };
        if let SyntaxNode::Call { signature, arguments } = &syntax.node {
            check_count(signature, arguments.len(), syntax.span)?;
        }
        Ok(syntax)
    }

    fn arguments(&mut self, signature: &'static Signature, span: Span) -> Result<SyntaxNode, Problem> {
        let arguments = self.list(LIST_MAX, |parser| parser.deeper(span, Self::expression))?;
        Ok(SyntaxNode::Call { signature, arguments })
    }

    /// `distinct` before something else; else it is a name.
    fn distinct(&mut self, function: Aggregate) -> Aggregate {
        let is_meant = function == Aggregate::Count
            && self.is_word("distinct")
            && match self.peek_behind() {
                TokenKind::Word(word) => !is_keyword(word),
                TokenKind::Quoted(_) | TokenKind::Number(_) | TokenKind::Text(_) | TokenKind::Parameter(_) => true,
                // There is no function of that name.
                TokenKind::Sign(sign) => *sign == "(",
                TokenKind::End => false,
            };
        self.at += usize::from(is_meant);
        if is_meant { Aggregate::Distinct } else { function }
    }

    fn aggregate(&mut self, function: Aggregate, span: Span) -> Result<SyntaxNode, Problem> {
        let function = self.distinct(function);
        let argument = if function == Aggregate::Count && self.take_sign("*") {
            None
        } else {
            Some(Box::new(self.deeper(span, Self::expression)?))
        };
        Ok(SyntaxNode::Aggregate { function, argument })
    }

    /// `within a.Lines l of l.Total where l.Number > 5`.
    fn within(&mut self, measure: Measure, span: Span) -> Result<SyntaxNode, Problem> {
        self.demand_word("within")?;
        let relation = self.names()?;
        let alias = match &self.peek().kind {
            TokenKind::Word(word) if !is_keyword(word) && !self.is_word("of") => Some(self.any_name("a name")?),
            TokenKind::Quoted(_) => Some(self.any_name("a name")?),
            _ => None,
        };
        let mut measure = measure;
        let argument = match measure {
            Measure::Aggregate(function) if function != Aggregate::Count || self.is_word("of") => {
                self.demand_word("of").map_err(|problem| {
                    let name = function.name();
                    problem.hint(format!("say what is summed, as in: {name}(within a.Lines l of l.Total)"))
                })?;
                measure = Measure::Aggregate(self.distinct(function));
                Some(self.deeper(span, Self::expression)?)
            }
            _ => None,
        };
        let filter = if self.take_word("where") { Some(self.deeper(span, Self::expression)?) } else { None };
        Ok(SyntaxNode::Within(Box::new(WithinSyntax { measure, relation, alias, argument, filter })))
    }

    fn path(&mut self) -> Result<Syntax, Problem> {
        let names = self.names()?;
        let span = names.first().map_or_else(|| self.before(), |first| first.span).to(self.before());
        Ok(Syntax { node: SyntaxNode::Path(names), span })
    }

    /// Names with dots between; behind a dot, an entity in parentheses says as what the object is meant.
    fn names(&mut self) -> Result<Vec<Name>, Problem> {
        let mut names = vec![self.any_name("a name")?];
        while self.take_sign(".") {
            let cast = if self.take_sign("(") {
                let entity = self.any_name("the name of an entity")?;
                self.demand_close("\")\"")?;
                Some(Box::new(entity))
            } else {
                None
            };
            let next = self.any_name("the name of an attribute")?;
            names.push(Name { cast, ..next });
        }
        Ok(names)
    }
}

fn check_count(signature: &Signature, count: usize, span: Span) -> Result<(), Problem> {
    let most = if signature.repeats { function::ARGUMENTS_MAX } else { signature.takes.len() };
    if (signature.least..=most).contains(&count) {
        return Ok(());
    }
    let (arity, verb) = (signature.arity(), if count == 1 { "is" } else { "are" });
    let arguments = if arity == "1" { "argument" } else { "arguments" };
    let message = format!("{} takes {arity} {arguments}, {count} {verb} given", signature.name);
    Err(Problem::new("type-mismatch", message, span))
}

fn unknown(word: &str, span: Span) -> Problem {
    let all = || {
        let others = function::Function::names().chain(CLOCKS).chain(["exists"]);
        Aggregate::ALL.map(Aggregate::name).into_iter().chain(others)
    };
    let problem = Problem::new("unknown-function", format!("there is no function \"{word}\""), span);
    match nearest(word, all()) {
        Some(near) => problem.meant(Some(near)),
        None => problem.hint("the manual of the query language lists them all"),
    }
}
