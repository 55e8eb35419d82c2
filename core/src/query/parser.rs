//! From tokens to the tree as written. Knows the grammar and the keywords, no schema.
//!
//! Written as one function a rule, each of which looks one token ahead, so that a refusal always stands on the first
//! token that cannot go on. After `from`, `as` and `.` any word is a name; elsewhere keywords are keywords.

mod value;

use super::lexer::{Token, TokenKind, tokens};
use super::problem::{Problem, Span};
use super::syntax::{Item, Name, Sort, Statement, Syntax, SyntaxNode};
use super::tree::Comparison;
use crate::failure::nearest;

/// How deep parentheses and `not` may be nested.
const DEPTH_MAX: usize = 64;
/// The most columns of one list; what engines take is more.
const LIST_MAX: usize = 500;
/// The most values between the parentheses of one `in`.
const IN_MAX: usize = 10_000;

/// Words that are no names where a name could stand without a dot before it.
const KEYWORDS: [&str; 24] = [
    "select",
    "from",
    "where",
    "group",
    "by",
    "order",
    "limit",
    "offset",
    "as",
    "asc",
    "desc",
    "and",
    "or",
    "not",
    "in",
    "between",
    "like",
    "ilike",
    "is",
    "null",
    "true",
    "false",
    "instanceof",
    "within",
];
/// The words that begin the parts of a query, in their order.
const CLAUSES: [&str; 6] = ["select", "from", "where", "group", "order", "limit"];

/// The tree of a query.
pub(super) fn statement(text: &str) -> Result<Statement, Problem> {
    parse(text, |parser| parser.statement())
}

/// The tree of a query for the objects of an entity for which a condition is true. The object is called `a`.
pub(super) fn condition(text: &str, entity: &str) -> Result<Statement, Problem> {
    let name = |text: &str| Name { text: text.to_owned(), quoted: true, span: Span { start: 0, end: 0 }, cast: None };
    let filter = parse(text, |mut parser| {
        let filter = parser.expression()?;
        parser.demand_end()?;
        Ok(filter)
    })?;
    Ok(Statement {
        select: None,
        entity: name(entity),
        alias: Some(name("a")),
        filter: Some(filter),
        group: Vec::new(),
        order: Vec::new(),
        limit: None,
        offset: None,
    })
}

fn parse<T>(text: &str, rule: impl Fn(Parser<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let tokens = tokens(text)?;
    let end = Token { kind: TokenKind::End, span: Span { start: text.len(), end: text.len() } };
    rule(Parser { tokens: &tokens, end: &end, at: 0, depth: 0, operations: 0 })
}

struct Parser<'a> {
    tokens: &'a [Token],
    /// What stands behind the last token.
    end: &'a Token,
    at: usize,
    depth: usize,
    /// Signs of arithmetic so far; each may make the tree one deeper.
    operations: usize,
}

impl<'a> Parser<'a> {
    fn statement(mut self) -> Result<Statement, Problem> {
        let select = if self.take_word("select") { Some(self.select_list()?) } else { None };
        if !self.take_word("from") {
            let expected = if select.is_some() { "\",\" or \"from\"" } else { "\"select\" or \"from\"" };
            return Err(self.unexpected(expected));
        }
        let entity = self.any_name("the name of an entity")?;
        let alias = self.alias()?;
        let filter = if self.take_word("where") { Some(self.expression()?) } else { None };
        let group = if self.take_words("group", "by")? { self.list(LIST_MAX, Self::expression)? } else { Vec::new() };
        let order = if self.take_words("order", "by")? { self.list(LIST_MAX, Self::sort)? } else { Vec::new() };
        let limit = if self.take_word("limit") { Some(self.operand()?) } else { None };
        let offset = if self.take_word("offset") { Some(self.operand()?) } else { None };
        self.demand_end()?;
        Ok(Statement { select, entity, alias, filter, group, order, limit, offset })
    }

    fn alias(&mut self) -> Result<Option<Name>, Problem> {
        if self.take_word("as") {
            return self.any_name("a name").map(Some);
        }
        match &self.peek().kind {
            TokenKind::Quoted(_) => self.any_name("a name").map(Some),
            TokenKind::Word(word) if !is_keyword(word) => self.any_name("a name").map(Some),
            _ => Ok(None),
        }
    }

    fn select_list(&mut self) -> Result<Vec<Item>, Problem> {
        if self.peek().kind == TokenKind::Sign("*") {
            let problem = Problem::syntax("\"*\" stands only in count(*)", self.peek().span);
            return Err(problem.hint("leave \"select *\" out to get whole objects"));
        }
        self.list(LIST_MAX, |parser| {
            let value = parser.expression()?;
            let name = if parser.take_word("as") { Some(parser.any_name("a name")?) } else { None };
            Ok(Item { value, name })
        })
    }

    fn sort(&mut self) -> Result<Sort, Problem> {
        let value = self.expression()?;
        let descending = self.take_word("desc");
        if !descending {
            self.take_word("asc");
        }
        Ok(Sort { value, descending })
    }

    fn list<T>(&mut self, most: usize, one: impl Fn(&mut Self) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
        let mut list = Vec::new();
        loop {
            let span = self.peek().span;
            list.push(one(self)?);
            if list.len() > most {
                return Err(Problem::new("query-too-large", format!("a list holds at most {most} entries"), span));
            }
            if !self.take_sign(",") {
                return Ok(list);
            }
        }
    }

    fn expression(&mut self) -> Result<Syntax, Problem> {
        self.chain("or", SyntaxNode::Or, |parser| parser.chain("and", SyntaxNode::And, Self::negation))
    }

    /// Conditions between which a word stands. Kept flat, so that a long chain is not a deep tree.
    fn chain(
        &mut self,
        word: &str,
        join: fn(Vec<Syntax>) -> SyntaxNode,
        part: impl Fn(&mut Self) -> Result<Syntax, Problem>,
    ) -> Result<Syntax, Problem> {
        let first = part(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut span = first.span;
        let mut all = vec![first];
        while self.take_word(word) {
            let next = part(self)?;
            span = span.to(next.span);
            all.push(next);
        }
        Ok(Syntax { node: join(all), span })
    }

    fn negation(&mut self) -> Result<Syntax, Problem> {
        let start = self.peek().span;
        if !self.take_word("not") {
            return self.comparison();
        }
        let inner = self.deeper(start, Self::negation)?;
        Ok(negated(inner, start))
    }

    fn comparison(&mut self) -> Result<Syntax, Problem> {
        let value = self.sum()?;
        let start = value.span;
        if let Some(comparison) = self.take_comparison() {
            let right = self.sum()?;
            let span = start.to(right.span);
            let node = SyntaxNode::Compare { comparison, left: Box::new(value), right: Box::new(right) };
            return self.complete(Syntax { node, span });
        }
        if self.take_word("instanceof") {
            let entity = self.any_name("the name of an entity")?;
            let span = start.to(entity.span);
            return self.complete(Syntax { node: SyntaxNode::Instance { value: Box::new(value), entity }, span });
        }
        if self.take_word("is") {
            let not = self.take_word("not");
            let end = self.peek().span;
            if !self.take_word("null") {
                return Err(self.unexpected(if not { "\"null\"" } else { "\"null\" or \"not null\"" }));
            }
            let syntax = Syntax { node: SyntaxNode::IsNull(Box::new(value)), span: start.to(end) };
            return self.complete(if not { negated(syntax, start) } else { syntax });
        }
        let not = self.take_word("not");
        let value = Box::new(value);
        let node = if self.take_word("in") {
            self.membership(value)?
        } else if self.take_word("between") {
            let low = Box::new(self.sum()?);
            self.demand_word("and")?;
            SyntaxNode::Between { value, low, high: Box::new(self.sum()?) }
        } else if self.take_word("like") {
            SyntaxNode::Like { value, pattern: Box::new(self.sum()?), blind: false }
        } else if self.take_word("ilike") {
            SyntaxNode::Like { value, pattern: Box::new(self.sum()?), blind: true }
        } else if not {
            return Err(self.unexpected("\"in\", \"between\", \"like\" or \"ilike\""));
        } else {
            return Ok(*value);
        };
        let syntax = Syntax { node, span: start.to(self.before()) };
        self.complete(if not { negated(syntax, start) } else { syntax })
    }

    /// `a = b = c` has no meaning that everybody would guess.
    fn complete(&mut self, syntax: Syntax) -> Result<Syntax, Problem> {
        let span = self.peek().span;
        if self.take_comparison().is_some() {
            let problem = Problem::syntax("comparisons do not stand in a row", span);
            return Err(problem.hint("join them with \"and\", or use parentheses"));
        }
        Ok(syntax)
    }

    fn membership(&mut self, value: Box<Syntax>) -> Result<SyntaxNode, Problem> {
        self.demand_sign("(")?;
        let list = self.list(IN_MAX, Self::sum)?;
        self.demand_close("\",\" or \")\"")?;
        Ok(SyntaxNode::In { value, list })
    }

    fn any_name(&mut self, expected: &str) -> Result<Name, Problem> {
        let token = self.peek();
        let (text, quoted) = match &token.kind {
            TokenKind::Word(word) => (word.clone(), false),
            TokenKind::Quoted(name) => (name.clone(), true),
            _ => return Err(self.unexpected(expected)),
        };
        self.at += 1;
        Ok(Name { text, quoted, span: token.span, cast: None })
    }

    fn deeper<T>(&mut self, span: Span, inner: impl Fn(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth == DEPTH_MAX {
            let message = format!("conditions are nested more than {DEPTH_MAX} deep");
            return Err(Problem::new("query-too-large", message, span));
        }
        self.depth += 1;
        let found = inner(self);
        self.depth -= 1;
        found
    }
}

/// Looking at tokens and taking them.
impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        self.tokens.get(self.at).unwrap_or(self.end)
    }

    fn peek_behind(&self) -> &'a TokenKind {
        &self.tokens.get(self.at + 1).unwrap_or(self.end).kind
    }

    /// Where the token stands that was taken last.
    fn before(&self) -> Span {
        self.tokens.get(self.at.saturating_sub(1)).unwrap_or(self.end).span
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn take_words(&mut self, first: &str, second: &str) -> Result<bool, Problem> {
        let found = self.take_word(first);
        if found {
            self.demand_word(second)?;
        }
        Ok(found)
    }

    fn demand_end(&self) -> Result<(), Problem> {
        if self.peek().kind == TokenKind::End { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn demand_word(&mut self, word: &str) -> Result<(), Problem> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected(&format!("\"{word}\""))) }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek().kind, TokenKind::Sign(found) if found == sign);
        self.at += usize::from(found);
        found
    }

    fn demand_sign(&mut self, sign: &str) -> Result<(), Problem> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("\"{sign}\""))) }
    }

    fn demand_close(&mut self, expected: &str) -> Result<(), Problem> {
        if self.take_sign(")") { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn take_comparison(&mut self) -> Option<Comparison> {
        let TokenKind::Sign(sign) = self.peek().kind else { return None };
        let comparison = match sign {
            "=" => Comparison::Equal,
            "!=" | "<>" => Comparison::Unequal,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::Greater,
            ">=" => Comparison::AtLeast,
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let token = self.peek();
        let message = match &token.kind {
            TokenKind::End => format!("the query ends where {expected} is expected"),
            found => format!("{found} stands where {expected} is expected"),
        };
        let problem = Problem::syntax(message, token.span);
        let last = self.tokens.get(self.at.wrapping_sub(1)).map(|token| &token.kind);
        match (&token.kind, last) {
            (TokenKind::Sign(","), Some(TokenKind::Number(_))) => problem.hint("a number is written with a point"),
            (TokenKind::Word(word), _) if CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) => problem
                .hint(
                    "the order is: select, from, where, group by, order by, limit, offset; a name stands in backticks",
                ),
            (TokenKind::Word(word), _) if is_keyword(word) => {
                problem.hint(format!("a name that is a word of the language stands in backticks: `{word}`"))
            }
            (TokenKind::Word(word), _) => problem.meant(nearest(word, KEYWORDS)),
            _ => problem,
        }
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn negated(inner: Syntax, start: Span) -> Syntax {
    let span = start.to(inner.span);
    Syntax { node: SyntaxNode::Not(Box::new(inner)), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = statement(text).map(|_| ()).unwrap_err().at(text);
        format!("{}:{}+{} {}; {}", error.line, error.column, error.length, error.message, error.hint)
    }

    #[test]
    fn what_is_written_is_understood() {
        for text in [
            "from Order",
            "FROM `Order` o WHERE o.`order` IS NOT NULL",
            "from Order order by id",
            "from Order order_ where order_.from = 1",
            "from Order as order where order.City = 'x'",
            "select a.City, count(*) as order from Customer a group by a.City order by count(*) desc, City limit 3 offset 1",
            "from A where not (x = 1 or y is null) and z not in (1, -2, $p) and t not like 'a%' and n between 1 and 2",
            "from A limit $n",
        ] {
            assert!(statement(text).is_ok(), "{}", refused(text));
        }
    }

    #[test]
    fn refusals_stand_on_the_first_token_that_cannot_go_on() {
        let check = |text: &str, expected: &str| assert_eq!(refused(text), expected, "{text:?}");
        check("", "1:1+1 the query ends where \"select\" or \"from\" is expected; ");
        check("form A", "1:1+4 \"form\" stands where \"select\" or \"from\" is expected; did you mean \"from\"?");
        check("from", "1:5+1 the query ends where the name of an entity is expected; ");
        check("select * from A", "1:8+1 \"*\" stands only in count(*); leave \"select *\" out to get whole objects");
        check("from A a where", "1:15+1 the query ends where an attribute or a value is expected; ");
        check("from A a whree a.x = 1", "1:10+5 \"whree\" stands where the end is expected; did you mean \"where\"?");
        check(
            "from A a where a.x = 1 = 2",
            "1:24+1 comparisons do not stand in a row; join them with \"and\", or use parentheses",
        );
        check("from A a where a.x in 1", "1:23+1 1 stands where \"(\" is expected; ");
        check("from A a where a.x in ()", "1:24+1 \")\" stands where an attribute or a value is expected; ");
        check("from A a where (a.x = 1", "1:24+1 the query ends where \")\" is expected; ");
        check(
            "from A a where a.x = 19,99",
            "1:24+1 \",\" stands where the end is expected; a number is written with a point",
        );
        check(
            "from A a\norder by x\nwhere y",
            "3:1+5 \"where\" stands where the end is expected; the order is: select, from, where, group by, order by, limit, offset; a name stands in backticks",
        );
        check("from A a where a.x is 5", "1:23+1 5 stands where \"null\" or \"not null\" is expected; ");
        check("select summ(a.x) from A a", "1:8+4 there is no function \"summ\"; did you mean \"sum\"?");
        check("select yeer(a.x) from A a", "1:8+4 there is no function \"yeer\"; did you mean \"year\"?");
        check("select left(x) from A a", "1:8+7 left takes 2 arguments, 1 is given; ");
        check("select left(x, 1, 2) from A a", "1:8+13 left takes 2 arguments, 3 are given; ");
        check("select coalesce() from A a", "1:17+1 \")\" stands where an attribute or a value is expected; ");
        check("from A where a.(B.x = 1", "1:18+1 \".\" stands where \")\" is expected; ");
        check("from A where exists(x)", "1:21+1 \"x\" stands where \"within\" is expected; ");
        check("from A where for all(x)", "1:22+1 \"x\" stands where \"within\" is expected; ");
        check(
            "from A a where sum(within a.Lines l) = 1",
            "1:36+1 \")\" stands where \"of\" is expected; say what is summed, as in: sum(within a.Lines l of l.Total)",
        );
        check("from A group x", "1:14+1 \"x\" stands where \"by\" is expected; ");
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("from A where {}x{}", "(".repeat(depth), ")".repeat(depth));
        assert!(statement(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(refused(&nested(DEPTH_MAX + 1)), "1:78+1 conditions are nested more than 64 deep; ");
        assert!(refused(&format!("from A where {} x", "not ".repeat(20_000))).contains("nested"));
        assert!(statement(&format!("from A where x {}", "or x ".repeat(10_000))).is_ok());
    }
}
