//! Long lists of rows: `VALUES (1, 'a'), (2, 'b'), …` by the hundred thousand, as clients load tables with.
//!
//! sqlparser's tree has a vector with room for four expressions, and two tokens, for each row: more than a kilobyte for `(1)`. A
//! list of many rows of one width is therefore given to it as one row with one expression, which the parser of expressions
//! (`expr`) reads into one flat vector:
//!
//! ```text
//! VALUES (1, 'a'), (2, 'b'), …   ->   VALUES ("\0rows 2 1000" (1, 'a'), (2, 'b'), …)
//! ```
//!
//! [`of`] gives the rows back to the binder.

use sqlparser::ast::{Expr as Ast, Ident, Values};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

const MARK: &str = "\0rows ";
/// Shorter lists stay as they are.
const ROWS_MIN: usize = 256;
/// Lists of one string that are gathered; each moves the tokens behind it.
const LISTS_MAX: usize = 16;

/// A list in the token stream.
struct List {
    /// Of its first parenthesis, and of its last.
    start: usize,
    end: usize,
    width: usize,
    rows: usize,
}

/// The rows of VALUES.
pub(crate) fn of(values: &Values) -> Vec<&[Ast]> {
    if let [row] = values.rows.as_slice()
        && let [Ast::Named { name, expr }] = row.content.as_slice()
        && let (Some((width, _)), Ast::Tuple(items)) = (shape(&name.value), &**expr)
    {
        return items.chunks(width).collect();
    }
    values.rows.iter().map(|row| row.content.as_slice()).collect()
}

/// Width and number of rows, of a name that a client can not write.
fn shape(name: &str) -> Option<(usize, usize)> {
    let (width, rows) = name.strip_prefix(MARK)?.split_once(' ')?;
    Some((width.parse().ok().filter(|width| *width > 0)?, rows.parse().ok()?))
}

/// Marks the long lists of rows.
pub(super) fn gathered(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut lists = vec![];
    let mut at = 0;
    while lists.len() < LISTS_MAX
        && let Some(values) = next_values(&tokens, at)
    {
        at = values + 1;
        if let Some(list) = list_from(&tokens, at) {
            at = list.end;
            lists.push(list);
        }
    }
    for List { start, end, width, rows } in lists.into_iter().rev() {
        let span = |at: usize| tokens.get(at).map_or(Span::empty(), |token| token.span);
        let (first, last) = (span(start), span(end));
        let name = Word { value: format!("{MARK}{width} {rows}"), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        tokens.insert(end + 1, TokenWithSpan { token: Token::RParen, span: last });
        let mark = [Token::LParen, Token::Word(name)].map(|token| TokenWithSpan { token, span: first });
        tokens.splice(start..start, mark);
    }
    tokens
}

fn next_values(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let rest = tokens.get(from..)?.iter();
    let found = rest.enumerate().find(|(_, token)| {
        matches!(&token.token, Token::Word(Word { keyword: Keyword::VALUES, quote_style: None, .. }))
    });
    found.map(|(distance, _)| from + distance)
}

fn skip(tokens: &[TokenWithSpan], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| matches!(token.token, Token::Whitespace(_))) {
        at += 1;
    }
    at
}

/// A long list of rows of one width that starts at `at`.
fn list_from(tokens: &[TokenWithSpan], at: usize) -> Option<List> {
    let start = skip(tokens, at);
    let (mut width, mut rows, mut next, mut end) = (None, 0, start, start);
    while let Some((columns, close)) = row_from(tokens, next) {
        if *width.get_or_insert(columns) != columns {
            return None;
        }
        (rows, end) = (rows + 1, close);
        next = skip(tokens, close + 1);
        if tokens.get(next).is_none_or(|token| token.token != Token::Comma) {
            break;
        }
        next = skip(tokens, next + 1);
    }
    let width = width?;
    (rows >= ROWS_MIN).then_some(List { start, end, width, rows })
}

/// The number of columns of the row that starts at `at`, and where it ends. None: there is none, or it is empty.
fn row_from(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize)> {
    if tokens.get(at)?.token != Token::LParen {
        return None;
    }
    let (mut depth, mut columns, mut is_empty) = (0_usize, 1, true);
    for (distance, token) in tokens.get(at..)?.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return (!is_empty).then_some((columns, at + distance));
                }
            }
            Token::Comma if depth == 1 => columns += 1,
            Token::SemiColon | Token::EOF => return None,
            Token::Whitespace(_) => continue,
            _ => {}
        }
        is_empty &= distance == 0;
    }
    None
}

/// Whether a word marks a list of rows.
pub(super) fn is_mark(word: &Word) -> bool {
    word.value.starts_with(MARK)
}

/// The expression that a marked list of rows is: all of its values.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    value: fn(&mut Parser<'_>) -> Result<Ast, ParserError>,
) -> Result<Ast, ParserError> {
    let token = parser.next_token();
    let Token::Word(mark) = token.token else { return parser.expected("rows", token) };
    let Some((width, rows)) = shape(&mark.value) else { return parser.expected_ref("rows", parser.peek_token_ref()) };
    let mut items = Vec::with_capacity(width.saturating_mul(rows));
    loop {
        parser.expect_token(&Token::LParen)?;
        for column in 0..width {
            if column > 0 {
                parser.expect_token(&Token::Comma)?;
            }
            items.push(value(parser)?);
        }
        parser.expect_token(&Token::RParen)?;
        if !parser.consume_token(&Token::Comma) {
            let name = Ident::with_span(token.span, mark.value);
            return Ok(Ast::Named { name, expr: Box::new(Ast::Tuple(items)) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Syntax, parse};
    use super::*;
    use sqlparser::ast::{SetExpr, Statement};

    /// Rows and width of a statement's VALUES, and how many rows sqlparser's own tree has.
    fn rows_of(text: &str) -> (usize, usize, usize) {
        let statements = parse(text, true).unwrap_or_else(|e| panic!("{}", e.message()));
        let Syntax::Sql(statement) = &statements[0].syntax else { panic!("no query") };
        let body = match &**statement {
            Statement::Query(query) => &query.body,
            Statement::Insert(insert) => &insert.source.as_ref().unwrap().body,
            _ => panic!("neither VALUES nor INSERT"),
        };
        let SetExpr::Values(values) = &**body else { panic!("no VALUES") };
        let rows = of(values);
        (rows.len(), rows[0].len(), values.rows.len())
    }

    #[test]
    fn long_lists_are_gathered_and_short_ones_are_not() {
        let rows = |row: &str, count: usize| vec![row; count].join(", ");
        assert_eq!(rows_of(&format!("values {}", rows("(1, f(2, 3), default)", 1_000))), (1_000, 3, 1));
        assert_eq!(rows_of(&format!("insert into t values {} returning a", rows("( ARRAY[1,2] )", 300))), (300, 1, 1));
        assert_eq!(rows_of(&format!("values {} order by 1 limit 2", rows("(1)", 255))), (255, 1, 255));
        let mixed = format!("values {}, (1, 2)", rows("(1)", 300));
        assert_eq!(rows_of(&mixed), (301, 1, 301), "the binder refuses it with its place");
    }

    #[test]
    fn errors_inside_long_lists_have_their_places() {
        let row = "(1), ";
        let list = format!("values {}", row.repeat(300));
        for (rest, near, at) in
            [("", "end of input", 0), ("(1", "end of input", 2), ("(1 2)", "\"2\"", 4), ("()", "\")\"", 2)]
        {
            let text = format!("{list}{rest}");
            let error = parse(&text, true).map(|all| all.len()).expect_err(&text);
            assert!(error.message().contains(near), "{rest}: {}", error.message());
            let end = u32::try_from(list.len()).unwrap();
            let place = error.fields().position.unwrap();
            assert!((end - 1..=end + at + 1).contains(&place), "{rest}: {place} of {end}");
        }
    }
}
