//! GROUP BY, ORDER BY, WINDOW and OVER.

use super::{Deparser, join};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Frame, FrameBound, FrameExclusion, FrameUnits, SortKey};
use crate::tree::{GroupTree, Made, Over, Target, WindowTree};
use types::Result;
use types::functions::quote_ident;

/// What ORDER BY and DISTINCT ON may mean by a column.
#[derive(Clone, Copy)]
pub(super) enum Outputs<'q> {
    /// Of no query.
    None,
    /// The select list.
    Targets(&'q [Target]),
    /// Columns of a set operation, which are told by number.
    Numbers(&'q [(String, ColumnId)]),
}

impl Deparser<'_> {
    /// A key of ORDER BY, GROUP BY or PARTITION BY: nothing that could be taken for something else there.
    pub(super) fn key(&self, expr: &Expr, outputs: Outputs<'_>) -> Result<String> {
        let mut expr = expr;
        if let ExprKind::Column(id) = expr.kind {
            match outputs {
                Outputs::Targets(targets) => {
                    if let Some(target) = targets.iter().find(|t| t.id == id) {
                        expr = &target.expr;
                    }
                }
                Outputs::Numbers(columns) => {
                    if let Some(place) = columns.iter().position(|(_, column)| *column == id) {
                        return Ok((place + 1).to_string());
                    }
                }
                Outputs::None => {}
            }
        }
        if let ExprKind::Const(value) = &expr.kind {
            return Ok(self.labelled_constant(value, expr.ty));
        }
        let text = self.operand(expr)?;
        if self.plain_column(expr).is_some() {
            return Ok(text);
        }
        let is_call = match &expr.kind {
            ExprKind::Call { form: CallForm::Operator(_), .. } => false,
            ExprKind::Call { .. } | ExprKind::Inlined(_) => true,
            ExprKind::Column(id) => {
                matches!(self.made(*id), Some(Made::Aggregate(_) | Made::Window(..) | Made::Set(_)))
            }
            _ => false,
        };
        Ok(if is_call || self.is_pretty() { format!("({text})") } else { text })
    }

    pub(super) fn keys(&self, exprs: &[Expr]) -> Result<String> {
        let keys = exprs.iter().map(|e| self.key(e, Outputs::None)).collect::<Result<Vec<_>>>()?;
        Ok(join(&keys))
    }

    pub(super) fn order_by(&self, keys: &[SortKey], outputs: Outputs<'_>) -> Result<String> {
        let tell = |key: &SortKey| -> Result<String> {
            let mut text = self.key(&key.expr, outputs)?;
            text.push_str(match (key.descending, key.nulls_first) {
                (false, false) => "",
                (false, true) => " NULLS FIRST",
                (true, true) => " DESC",
                (true, false) => " DESC NULLS LAST",
            });
            Ok(text)
        };
        Ok(join(&keys.iter().map(tell).collect::<Result<Vec<_>>>()?))
    }

    pub(super) fn group(&self, tree: &GroupTree, is_inner: bool) -> Result<String> {
        let sets = |sets: &[Vec<Expr>]| -> Result<String> {
            let tell = |set: &Vec<Expr>| match set.as_slice() {
                [one] => self.key(one, Outputs::None),
                several => Ok(format!("({})", self.keys(several)?)),
            };
            Ok(join(&sets.iter().map(tell).collect::<Result<Vec<_>>>()?))
        };
        Ok(match tree {
            GroupTree::Set(exprs) => match exprs.as_slice() {
                [one] if !is_inner => self.key(one, Outputs::None)?,
                several => format!("({})", self.keys(several)?),
            },
            GroupTree::Rollup(elements) => format!("ROLLUP({})", sets(elements)?),
            GroupTree::Cube(elements) => format!("CUBE({})", sets(elements)?),
            GroupTree::Sets(trees) => {
                let inner = trees.iter().map(|t| self.group(t, true)).collect::<Result<Vec<_>>>()?;
                format!("GROUPING SETS ({})", join(&inner))
            }
        })
    }

    pub(super) fn over_words(&self, over: &Over) -> Result<String> {
        match over {
            Over::Named(name) => Ok(quote_ident(name).to_string()),
            Over::Window(window) => self.window(window),
        }
    }

    /// A window in its parentheses.
    pub(super) fn window(&self, window: &WindowTree) -> Result<String> {
        let mut parts = vec![];
        parts.extend(window.base.as_ref().map(|base| quote_ident(base).to_string()));
        if !window.partition_by.is_empty() {
            parts.push(format!("PARTITION BY {}", self.keys(&window.partition_by)?));
        }
        if !window.order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.order_by(&window.order_by, Outputs::None)?));
        }
        if let Some((frame, is_between)) = &window.frame {
            parts.push(self.frame(frame, *is_between)?);
        }
        Ok(format!("({})", parts.join(" ")))
    }

    fn frame(&self, frame: &Frame, is_between: bool) -> Result<String> {
        let units = match frame.units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let start = self.frame_bound(&frame.start)?;
        let mut text = match is_between {
            true => format!("{units} BETWEEN {start} AND {}", self.frame_bound(&frame.end)?),
            false => format!("{units} {start}"),
        };
        text.push_str(match frame.exclusion {
            FrameExclusion::None => "",
            FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
            FrameExclusion::Group => " EXCLUDE GROUP",
            FrameExclusion::Ties => " EXCLUDE TIES",
        });
        Ok(text)
    }

    fn frame_bound(&self, bound: &FrameBound) -> Result<String> {
        Ok(match bound {
            FrameBound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_owned(),
            FrameBound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_owned(),
            FrameBound::CurrentRow => "CURRENT ROW".to_owned(),
            FrameBound::Preceding(offset) => format!("{} PRECEDING", self.bare(offset)?),
            FrameBound::Following(offset) => format!("{} FOLLOWING", self.bare(offset)?),
        })
    }
}
