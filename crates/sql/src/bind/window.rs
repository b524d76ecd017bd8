//! Window functions: calls with OVER, named windows, frames.
//!
//! A call becomes a column that a Window node makes, one node for each different window of a query, above grouping and below
//! the select list. Aggregates may stand inside; other window functions may not.

use super::aggregate::AggregateParts;
use super::resolve::Candidate;
use super::scope::{Clause, Scope, fold};
use super::set_returning::{MOVE_TO_LATERAL, set_in};
use super::{Binder, group, start};
use crate::aggregate::AggregateFunction;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{
    Frame, FrameBound, FrameExclusion, FrameUnits, Node, SortKey, WindowCall, WindowFunction, WindowSpec,
};
use crate::parse::forms;
use crate::tree::{Made, Over, WindowTree};
use sqlparser::ast::{self, NamedWindowExpr, WindowFrameBound, WindowFrameUnits, WindowType};
use types::builtin::{self, CastContext, Proc, ProcKind};
use types::{Result, SqlError, SqlState, SqlType, oid};

/// One window of a query with the calls over it.
#[derive(Clone, Debug)]
pub(super) struct BoundWindow {
    partition_by: Vec<Expr>,
    order_by: Vec<SortKey>,
    frame: Frame,
    pub(super) calls: Vec<WindowCall>,
}

impl BoundWindow {
    /// Everything that is computed from the query's rows, for grouping.
    pub(super) fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let keys = self.order_by.iter_mut().map(|k| &mut k.expr);
        let calls = self.calls.iter_mut().flat_map(|c| c.args.iter_mut().chain(&mut c.filter));
        self.partition_by.iter_mut().chain(keys).chain(calls).collect()
    }

    fn is_like(&self, other: &BoundWindow) -> bool {
        let same_key = |a: &SortKey, b: &SortKey| {
            group::same(&a.expr, &b.expr) && a.descending == b.descending && a.nulls_first == b.nulls_first
        };
        self.partition_by.len() == other.partition_by.len()
            && self.order_by.len() == other.order_by.len()
            && self.partition_by.iter().zip(&other.partition_by).all(|(a, b)| group::same(a, b))
            && self.order_by.iter().zip(&other.order_by).all(|(a, b)| same_key(a, b))
            && same_frame(&self.frame, &other.frame)
    }

    fn sorts_by(&self) -> Vec<(&Expr, bool, bool)> {
        let partition = self.partition_by.iter().map(|e| (e, false, false));
        partition.chain(self.order_by.iter().map(|k| (&k.expr, k.descending, k.nulls_first))).collect()
    }
}

fn same_frame(a: &Frame, b: &Frame) -> bool {
    let same_bound = |a: &FrameBound, b: &FrameBound| match (a, b) {
        (FrameBound::Preceding(a), FrameBound::Preceding(b)) | (FrameBound::Following(a), FrameBound::Following(b)) => {
            group::same(a, b)
        }
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    a.units == b.units && a.exclusion == b.exclusion && same_bound(&a.start, &b.start) && same_bound(&a.end, &b.end)
}

/// Window nodes over `input`: those that sort by more first, so that a shorter order behind them is there already.
pub(super) fn windowed(mut input: Node, mut windows: Vec<BoundWindow>) -> Node {
    windows.retain(|w| !w.calls.is_empty());
    while !windows.is_empty() {
        let longest = (0..windows.len()).rev().max_by_key(|i| windows.get(*i).map_or(0, |w| w.sorts_by().len()));
        let window = windows.remove(longest.unwrap_or(0));
        let BoundWindow { partition_by, order_by, frame, calls } = window.clone();
        input = Node::Window { input: Box::new(input), spec: WindowSpec { partition_by, order_by, frame, calls } };
        // Prefixes of this order come next.
        let order = window.sorts_by();
        let is_prefix = |w: &BoundWindow| {
            let other = w.sorts_by();
            other.len() <= order.len()
                && other.iter().zip(&order).all(|(a, b)| group::same(a.0, b.0) && a.1 == b.1 && a.2 == b.2)
        };
        let (mut next, rest): (Vec<_>, Vec<_>) = windows.into_iter().partition(is_prefix);
        next.sort_by_key(|w| std::cmp::Reverse(w.sorts_by().len()));
        for BoundWindow { partition_by, order_by, frame, calls } in next {
            input = Node::Window { input: Box::new(input), spec: WindowSpec { partition_by, order_by, frame, calls } };
        }
        windows = rest;
    }
    input
}

fn windowing(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message.into())
}

/// A window as it is defined: by itself or on top of a named one.
struct Definition {
    partition_by: Vec<Expr>,
    order_by: Vec<SortKey>,
    frame: Option<Frame>,
    /// Under a record: what it says itself.
    tree: WindowTree,
}

impl Binder<'_> {
    /// `f(args) OVER …`
    pub(super) fn window_call(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        mut parts: AggregateParts,
        over: &WindowType,
        position: u32,
    ) -> Result<Expr> {
        let proc = chosen.item;
        self.require_implemented(proc, position)?;
        let (args, ty) = self.convert_args(&chosen.args, proc.result, std::mem::take(&mut parts.args))?;
        parts.args = args;
        match proc.kind {
            ProcKind::Aggregate => self.aggregate_over(AggregateFunction::Builtin(proc), parts, ty, over, position),
            _ => self.over(WindowFunction::Builtin(proc), proc.name, parts, ty, over, position),
        }
    }

    /// The same of an aggregate whose arguments are converted.
    pub(super) fn aggregate_over(
        &mut self,
        function: AggregateFunction,
        parts: AggregateParts,
        ty: SqlType,
        over: &WindowType,
        position: u32,
    ) -> Result<Expr> {
        let name = function.name().to_owned();
        self.over(WindowFunction::Aggregate(function), &name, parts, ty, over, position)
    }

    fn over(
        &mut self,
        function: WindowFunction,
        name: &str,
        parts: AggregateParts,
        ty: SqlType,
        over: &WindowType,
        position: u32,
    ) -> Result<Expr> {
        let is_aggregate = matches!(function, WindowFunction::Aggregate(_));
        if parts.distinct {
            return Err(SqlError::unsupported("DISTINCT is not implemented for window functions").at(position));
        }
        if !parts.order_by.is_empty() {
            let message = "aggregate ORDER BY is not implemented for window functions";
            return Err(SqlError::unsupported(message).at(position));
        }
        if !is_aggregate && parts.filter.is_some() {
            let message = "FILTER is not implemented for non-aggregate window functions";
            return Err(SqlError::unsupported(message).at(position));
        }
        self.check_window_place(&parts.args, position)?;
        let (window, over) = self.window_of(over)?;
        let output = self.new_column(name, ty, 0, 0);
        let call = WindowCall { function, args: parts.args, filter: parts.filter, output, ty };
        self.record_made(output, || Made::Window(call.clone(), over));
        let scope = self.scope()?;
        match scope.windows.iter_mut().find(|w| w.is_like(&window)) {
            Some(known) => known.calls.push(call),
            None => scope.windows.push(BoundWindow { calls: vec![call], ..window }),
        }
        Ok(Expr { position, ..Expr::column(output, ty) })
    }

    fn check_window_place(&mut self, args: &[Expr], position: u32) -> Result<()> {
        let scope = self.scope()?;
        let mut nested = None;
        for arg in args {
            arg.any(&mut |e| {
                if let ExprKind::Column(id) = e.kind
                    && nested.is_none()
                    && scope.windows.iter().any(|w| w.calls.iter().any(|c| c.output == id))
                {
                    nested = Some(e.position);
                }
                nested.is_some()
            });
        }
        if let Some(at) = nested {
            return Err(windowing("window function calls cannot be nested").at(at));
        }
        if let Some(arg) = args.iter().find(|a| set_in(scope, a)) {
            let message = "window function calls cannot contain set-returning function calls";
            return Err(SqlError::unsupported(message).hint(MOVE_TO_LATERAL).at(arg.position));
        }
        if scope.clause.takes_windows() {
            return Ok(());
        }
        Err(windowing(format!("window functions are not allowed in {}", scope.clause.window_place())).at(position))
    }

    fn window_of(&mut self, over: &WindowType) -> Result<(BoundWindow, Over)> {
        let (definition, name) = match over {
            WindowType::NamedWindow(name) => (self.named_window(name, usize::MAX)?, Some(fold(name))),
            WindowType::WindowSpec(spec) => (self.window_definition(spec, usize::MAX)?, None),
        };
        let Definition { partition_by, order_by, frame, tree } = definition;
        let frame = frame.unwrap_or(Frame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
            exclusion: FrameExclusion::None,
            in_range: None,
        });
        let over = name.map_or_else(|| Over::Window(tree), Over::Named);
        Ok((BoundWindow { partition_by, order_by, frame, calls: vec![] }, over))
    }

    /// All windows of a WINDOW clause, used or not, must be right.
    pub(super) fn check_named_windows(&mut self) -> Result<()> {
        let named = self.scope()?.named_windows.clone();
        for (number, window) in named.iter().enumerate() {
            let name = fold(&window.0);
            if named.iter().take(number).any(|w| fold(&w.0) == name) {
                let message = format!("window \"{name}\" is already defined");
                return Err(windowing(message).at(self.at(window.0.span)));
            }
            let definition = self.named_window(&window.0, number + 1)?;
            self.scope()?.window_trees.push((name, definition.tree));
        }
        Ok(())
    }

    /// A named window; `before`: only the first so many of the clause are defined yet.
    fn named_window(&mut self, ident: &ast::Ident, before: usize) -> Result<Definition> {
        let name = fold(ident);
        let position = self.at(ident.span);
        let named = self.scope()?.named_windows.clone();
        let found = named.iter().take(before).position(|w| fold(&w.0) == name);
        let missing =
            || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")).at(position);
        let index = found.ok_or_else(missing)?;
        match named.get(index).map(|w| &w.1) {
            Some(NamedWindowExpr::WindowSpec(spec)) => self.window_definition(spec, index),
            _ => Err(missing()),
        }
    }

    fn window_definition(&mut self, spec: &ast::WindowSpec, before: usize) -> Result<Definition> {
        let (base, exclusion) = match &spec.window_name {
            None => (None, FrameExclusion::None),
            Some(name) => forms::window_name(name),
        };
        let place = spec.window_name.as_ref().map_or(0, |name| self.at(name.span));
        let base = match &base {
            Some(name) => {
                let definition = self.named_window(name, before)?;
                Some((fold(name), definition, self.at(name.span)))
            }
            None => None,
        };
        let clause = self.enter(Clause::PartitionBy);
        let partition_by = self.window_partition(&spec.partition_by);
        self.enter(Clause::WindowOrder);
        let order_by = self.window_order(&spec.order_by);
        self.enter(clause);
        let mut definition =
            Definition { partition_by: partition_by?, order_by: order_by?, frame: None, tree: WindowTree::default() };
        let own = self.is_recording().then(|| (definition.partition_by.clone(), definition.order_by.clone()));
        let base_name = base.as_ref().map(|(name, ..)| name.clone());
        if let Some((name, base, at)) = base {
            definition = on_top(&name, base, definition, spec).map_err(|e| e.at(at))?;
        }
        if let Some(frame) = &spec.window_frame {
            definition.frame = Some(self.frame(frame, exclusion, &definition, place)?);
        } else if exclusion != FrameExclusion::None {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"EXCLUDE\""));
        }
        if let Some((partition_by, order_by)) = own {
            let is_between = spec.window_frame.as_ref().is_some_and(|f| f.end_bound.is_some());
            let frame = definition.frame.clone().map(|frame| (frame, is_between));
            definition.tree = WindowTree { base: base_name, partition_by, order_by, frame };
        }
        Ok(definition)
    }

    fn window_partition(&mut self, exprs: &[ast::Expr]) -> Result<Vec<Expr>> {
        let mut bound = vec![];
        for expr in exprs {
            let expr = self.expr(expr)?;
            let expr = self.known(expr)?;
            self.require_equality(expr.ty, expr.position)?;
            if !bound.iter().any(|e| group::same(e, &expr)) {
                bound.push(expr);
            }
        }
        Ok(bound)
    }

    fn window_order(&mut self, keys: &[ast::OrderByExpr]) -> Result<Vec<SortKey>> {
        let mut bound: Vec<SortKey> = vec![];
        for by in keys {
            let expr = self.expr(&by.expr)?;
            let position = self.at(start::of_expr(&by.expr));
            let key = self.sort_key(expr, &by.options, position)?;
            if !bound.iter().any(|k| group::same(&k.expr, &key.expr)) {
                bound.push(key);
            }
        }
        Ok(bound)
    }

    fn frame(
        &mut self,
        frame: &ast::WindowFrame,
        exclusion: FrameExclusion,
        of: &Definition,
        place: u32,
    ) -> Result<Frame> {
        let units = match frame.units {
            WindowFrameUnits::Rows => FrameUnits::Rows,
            WindowFrameUnits::Range => FrameUnits::Range,
            WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        let end = frame.end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
        let has_offset = |b: &WindowFrameBound| {
            matches!(b, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)))
        };
        if units == FrameUnits::Groups && of.order_by.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause").at(place));
        }
        let offsets = has_offset(&frame.start_bound) || has_offset(end);
        if units == FrameUnits::Range && offsets && of.order_by.len() != 1 {
            let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(windowing(message).at(place));
        }
        let key = of.order_by.first().map(|k| k.expr.ty);
        let mut in_range = None;
        let start = self.frame_bound(&frame.start_bound, units, key, &mut in_range)?;
        let end = self.frame_bound(end, units, key, &mut in_range)?;
        Ok(Frame { units, start, end, exclusion, in_range })
    }

    fn frame_bound(
        &mut self,
        bound: &WindowFrameBound,
        units: FrameUnits,
        key: Option<SqlType>,
        in_range: &mut Option<&'static Proc>,
    ) -> Result<FrameBound> {
        let (offset, preceding) = match bound {
            WindowFrameBound::CurrentRow => return Ok(FrameBound::CurrentRow),
            WindowFrameBound::Preceding(None) => return Ok(FrameBound::UnboundedPreceding),
            WindowFrameBound::Following(None) => return Ok(FrameBound::UnboundedFollowing),
            WindowFrameBound::Preceding(Some(offset)) => (offset, true),
            WindowFrameBound::Following(Some(offset)) => (offset, false),
        };
        let what = match units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let clause = self.enter(Clause::WindowFrame(what));
        let bound = self.expr(offset);
        self.enter(clause);
        let offset = bound?;
        let offset = match (units, key) {
            (FrameUnits::Range, Some(key)) => self.range_offset(offset, key, in_range)?,
            _ => self.count_offset(offset, what)?,
        };
        self.without_variables(&offset, what)?;
        Ok(if preceding { FrameBound::Preceding(offset) } else { FrameBound::Following(offset) })
    }

    fn count_offset(&mut self, offset: Expr, what: &str) -> Result<Expr> {
        let (ty, position) = (offset.ty, offset.position);
        let cast = self.try_coerce(offset, SqlType::INT8, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let name = self.type_name(ty);
            let message = format!("argument of {what} must be type bigint, not type {name}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })
    }

    /// The offset as the in_range function of the ORDER BY column's type takes it.
    fn range_offset(&mut self, offset: Expr, key: SqlType, in_range: &mut Option<&'static Proc>) -> Result<Expr> {
        let position = offset.position;
        let column = if key.oid == oid::VARCHAR { oid::TEXT } else { key.oid };
        let given = offset.ty.oid;
        let preferred = if given == oid::UNKNOWN { column } else { given };
        let name = |oid| self.type_name(SqlType::new(oid));
        let candidates: Vec<_> = builtin::procs_by_name("in_range")
            .iter()
            .filter(|p| p.args.first() == Some(&column) && p.args.get(1) == Some(&column))
            .filter_map(|p| p.args.get(2).map(|offset| (*p, *offset)))
            .collect();
        if candidates.is_empty() {
            let what = "RANGE with offset PRECEDING/FOLLOWING is not supported for column type";
            return Err(SqlError::unsupported(format!("{what} {}", name(key.oid))).at(position));
        }
        let exact = candidates.iter().find(|(_, offset)| *offset == preferred);
        let fitting: Vec<_> =
            candidates.iter().filter(|(_, offset)| super::coerce::can_coerce(given, *offset)).collect();
        let (proc, target) = match (exact, fitting.as_slice()) {
            (Some(exact), _) => *exact,
            (None, [one]) => **one,
            (None, found) => {
                let message = match found.is_empty() {
                    true => "RANGE with offset PRECEDING/FOLLOWING is not supported for column type",
                    false => "RANGE with offset PRECEDING/FOLLOWING has multiple interpretations for column type",
                };
                let hint = match found.is_empty() {
                    true => "Cast the offset value to an appropriate type.",
                    false => "Cast the offset value to the exact intended type.",
                };
                let message = format!("{message} {} and offset type {}", name(key.oid), name(given));
                return Err(SqlError::unsupported(message).hint(hint).at(position));
            }
        };
        *in_range = Some(proc);
        self.implicit(offset, SqlType::new(target))
    }
}

/// A window that names another one: what it may add.
fn on_top(name: &str, base: Definition, own: Definition, spec: &ast::WindowSpec) -> Result<Definition> {
    if !own.partition_by.is_empty() {
        return Err(windowing(format!("cannot override PARTITION BY clause of window \"{name}\"")));
    }
    if !own.order_by.is_empty() && !base.order_by.is_empty() {
        return Err(windowing(format!("cannot override ORDER BY clause of window \"{name}\"")));
    }
    if base.frame.is_some() {
        let error = windowing(format!("cannot copy window \"{name}\" because it has a frame clause"));
        let is_bare = own.order_by.is_empty() && spec.window_frame.is_none();
        return Err(if is_bare { error.hint("Omit the parentheses in this OVER clause.") } else { error });
    }
    let order_by = if base.order_by.is_empty() { own.order_by } else { base.order_by };
    Ok(Definition { partition_by: base.partition_by, order_by, frame: None, tree: WindowTree::default() })
}

/// Whether the query calls window functions.
pub(super) fn has_windows(scope: &Scope) -> bool {
    scope.windows.iter().any(|w| !w.calls.is_empty())
}
