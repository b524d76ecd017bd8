//! sqlparser's PostgreSQL dialect with expressions of our own (`expr`), and a bound on chains.
//!
//! The parser asks for the dialect by `TypeId` in many places, so ours says that it is PostgreSQL's and hands every question
//! on to it. Different are: expressions; strings on successive lines are one.

use sqlparser::ast::Expr;
use sqlparser::dialect::{BindPlaceholderStyle, Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use std::any::TypeId;
use std::cell::Cell;

/// Levels of an expression's tree: each infix operator, cast or IS test of a chain is one, and walks of the tree recurse.
const DEPTH_MAX: u32 = 1_000;

/// What the error of a chain that is too long says, to be known again.
pub(super) const TOO_DEEP: &str = "expression chain too long";
/// The same, of a statement that nobody wants any more.
pub(super) const STOPPED: &str = "statement stopped";

thread_local! {
    /// Depth of the deepest expression that has been parsed inside the one being parsed: the dialect is asked by shared reference.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

thread_local! {
    static VERSIONS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, FROM items may say as of when. Not otherwise: the parser takes some aliases for the beginning of that.
pub(super) struct Versions;

impl Versions {
    pub(super) fn allow() -> Versions {
        VERSIONS.set(true);
        Versions
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        VERSIONS.set(false);
    }
}

/// To be called before each statement.
pub(super) fn reset() {
    DEPTH.set(0);
}

/// How deep an expression's tree has become while it is parsed.
pub(super) struct Depth {
    /// Of what stands beside it.
    beside: u32,
    own: u32,
}

impl Depth {
    /// Before the first operand.
    pub(super) fn start() -> Depth {
        Depth { beside: DEPTH.replace(0), own: 0 }
    }

    /// An operand, or an infix operator with what stands to its right, has been parsed.
    pub(super) fn grow(&mut self) -> Result<(), ParserError> {
        self.own = self.own.max(DEPTH.replace(0)) + 1;
        if crate::stop::must_stop() {
            return Err(ParserError::ParserError(STOPPED.to_owned()));
        }
        match self.own > DEPTH_MAX {
            true => Err(ParserError::ParserError(TOO_DEEP.to_owned())),
            false => Ok(()),
        }
    }

    /// The expression is complete.
    pub(super) fn end(self) {
        DEPTH.set(self.beside.max(self.own));
    }
}

#[derive(Debug)]
pub(super) struct HyraxDialect;

impl Dialect for HyraxDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_string_literal_concatenation_with_newline(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        Some(super::expr::expression(parser))
    }

    /// The prefix is the whole expression: nothing may follow it.
    fn get_next_precedence(&self, _: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        Some(Ok(0))
    }

    fn get_next_precedence_default(&self, _: &Parser<'_>) -> Result<u8, ParserError> {
        Ok(0)
    }

    fn supports_table_versioning(&self) -> bool {
        VERSIONS.get()
    }

    fn supports_cte_materialization(&self) -> bool {
        PostgreSqlDialect {}.supports_cte_materialization()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PostgreSqlDialect {}.identifier_quote_style(identifier)
    }

    fn ordered_bind_placeholder_style(&self) -> Option<BindPlaceholderStyle> {
        PostgreSqlDialect {}.ordered_bind_placeholder_style()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_part(ch)
    }

    // `U&'…'` is put together by `literals`, which knows UESCAPE.
    fn supports_unicode_string_literal(&self) -> bool {
        false
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        PostgreSqlDialect {}.is_reserved_for_identifier(kw)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        // Reserved in PostgreSQL: what follows a query in CREATE SCHEMA is no alias.
        !matches!(kw, Keyword::CREATE | Keyword::GRANT) && PostgreSqlDialect {}.is_table_alias(kw, parser)
    }

    /// Words that need AS in front of them to name a column.
    fn is_column_alias(&self, kw: &Keyword, _parser: &mut Parser<'_>) -> bool {
        !matches!(
            kw,
            Keyword::ARRAY
                | Keyword::AS
                | Keyword::CHAR
                | Keyword::CHARACTER
                | Keyword::CREATE
                | Keyword::DAY
                | Keyword::EXCEPT
                | Keyword::FETCH
                | Keyword::FILTER
                | Keyword::FOR
                | Keyword::FROM
                | Keyword::GRANT
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::HOUR
                | Keyword::INTERSECT
                | Keyword::INTO
                | Keyword::LIMIT
                | Keyword::MINUTE
                | Keyword::MONTH
                | Keyword::NOTNULL
                | Keyword::OFFSET
                | Keyword::ON
                | Keyword::ORDER
                | Keyword::OVER
                | Keyword::OVERLAPS
                | Keyword::PRECISION
                | Keyword::RETURNING
                | Keyword::SECOND
                | Keyword::TO
                | Keyword::UNION
                | Keyword::VARYING
                | Keyword::WHERE
                | Keyword::WINDOW
                | Keyword::WITH
                | Keyword::WITHIN
                | Keyword::WITHOUT
                | Keyword::YEAR
        )
    }

    fn supports_string_literal_column_alias(&self, explicit: bool) -> bool {
        PostgreSqlDialect {}.supports_string_literal_column_alias(explicit)
    }

    fn supports_string_literal_table_alias(&self, explicit: bool) -> bool {
        PostgreSqlDialect {}.supports_string_literal_table_alias(explicit)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_custom_operator_part(ch)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        PostgreSqlDialect {}.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        PostgreSqlDialect {}.supports_group_by_expr()
    }

    fn supports_drop_group(&self) -> bool {
        PostgreSqlDialect {}.supports_drop_group()
    }

    fn supports_alter_user_as_alter_role(&self) -> bool {
        PostgreSqlDialect {}.supports_alter_user_as_alter_role()
    }

    fn supports_create_group(&self) -> bool {
        PostgreSqlDialect {}.supports_create_group()
    }

    fn supports_create_role_if_not_exists(&self) -> bool {
        PostgreSqlDialect {}.supports_create_role_if_not_exists()
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(prec)
    }

    fn allow_extract_custom(&self) -> bool {
        PostgreSqlDialect {}.allow_extract_custom()
    }

    fn allow_extract_single_quotes(&self) -> bool {
        PostgreSqlDialect {}.allow_extract_single_quotes()
    }

    fn supports_create_index_with_clause(&self) -> bool {
        PostgreSqlDialect {}.supports_create_index_with_clause()
    }

    fn supports_sql_option_without_value(&self) -> bool {
        PostgreSqlDialect {}.supports_sql_option_without_value()
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        PostgreSqlDialect {}.supports_explain_with_utility_options()
    }

    fn supports_listen_notify(&self) -> bool {
        PostgreSqlDialect {}.supports_listen_notify()
    }

    fn supports_exclude_constraint(&self) -> bool {
        PostgreSqlDialect {}.supports_exclude_constraint()
    }

    fn supports_factorial_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_factorial_operator()
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        PostgreSqlDialect {}.supports_bitwise_shift_operators()
    }

    fn supports_tilde_like_match_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_tilde_like_match_operator()
    }

    fn supports_comparison_in_between_low_bound(&self) -> bool {
        PostgreSqlDialect {}.supports_comparison_in_between_low_bound()
    }

    fn supports_comment_on(&self) -> bool {
        PostgreSqlDialect {}.supports_comment_on()
    }

    fn supports_load_extension(&self) -> bool {
        PostgreSqlDialect {}.supports_load_extension()
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_named_fn_args_with_colon_operator()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        PostgreSqlDialect {}.supports_named_fn_args_with_expr_name()
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_named_fn_args_with_assignment_operator()
    }

    fn supports_empty_projections(&self) -> bool {
        PostgreSqlDialect {}.supports_empty_projections()
    }

    fn supports_nested_comments(&self) -> bool {
        PostgreSqlDialect {}.supports_nested_comments()
    }

    fn supports_copy_from_stdin_data(&self) -> bool {
        PostgreSqlDialect {}.supports_copy_from_stdin_data()
    }

    fn supports_string_escape_constant(&self) -> bool {
        PostgreSqlDialect {}.supports_string_escape_constant()
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        PostgreSqlDialect {}.supports_numeric_literal_underscores()
    }

    fn supports_non_decimal_integer_literals(&self) -> bool {
        PostgreSqlDialect {}.supports_non_decimal_integer_literals()
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        PostgreSqlDialect {}.supports_array_typedef_with_brackets()
    }

    fn supports_geometric_types(&self) -> bool {
        PostgreSqlDialect {}.supports_geometric_types()
    }

    fn supports_order_by_using_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_order_by_using_operator()
    }

    fn supports_set_names(&self) -> bool {
        PostgreSqlDialect {}.supports_set_names()
    }

    fn supports_alter_column_type_using(&self) -> bool {
        PostgreSqlDialect {}.supports_alter_column_type_using()
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        PostgreSqlDialect {}.supports_left_associative_joins_without_parens()
    }

    fn supports_notnull_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_notnull_operator()
    }

    fn supports_interval_options(&self) -> bool {
        PostgreSqlDialect {}.supports_interval_options()
    }

    fn is_interval_qualifier(&self, kw: Keyword) -> bool {
        PostgreSqlDialect {}.is_interval_qualifier(kw)
    }

    fn supports_insert_table_alias(&self) -> bool {
        PostgreSqlDialect {}.supports_insert_table_alias()
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        PostgreSqlDialect {}.supports_create_table_like_parenthesized()
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        PostgreSqlDialect {}.supports_select_wildcard_with_alias()
    }

    fn supports_comma_separated_trim(&self) -> bool {
        PostgreSqlDialect {}.supports_comma_separated_trim()
    }

    fn supports_xml_expressions(&self) -> bool {
        PostgreSqlDialect {}.supports_xml_expressions()
    }

    fn is_custom_type_typed_string(&self, first_keyword: Keyword, qualified: bool) -> bool {
        PostgreSqlDialect {}.is_custom_type_typed_string(first_keyword, qualified)
    }

    fn supports_aliased_function_args(&self) -> bool {
        PostgreSqlDialect {}.supports_aliased_function_args()
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        PostgreSqlDialect {}.supports_comment_optimizer_hint()
    }

    fn supports_add_column_if_not_exists(&self) -> bool {
        PostgreSqlDialect {}.supports_add_column_if_not_exists()
    }

    fn supports_attach_partition_of(&self) -> bool {
        PostgreSqlDialect {}.supports_attach_partition_of()
    }

    fn supports_detach_partition_of(&self) -> bool {
        PostgreSqlDialect {}.supports_detach_partition_of()
    }

    fn supports_table_inheritance_markers(&self) -> bool {
        PostgreSqlDialect {}.supports_table_inheritance_markers()
    }

    fn supports_column_generic_options(&self) -> bool {
        PostgreSqlDialect {}.supports_column_generic_options()
    }
}
