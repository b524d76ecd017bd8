//! Predicates: true, false or unknown (None), where a failure of an operand is unknown.
//!
//! A predicate over sequences is true if it is so of any pair of items. In lax mode the first true ends it; in strict mode an
//! unknown does, and all pairs are looked at.

use super::eval::{Failure, Walk};
use super::tree::{Chain, Comparison, LikeRegex, Predicate};
use super::value::{Class, Value};
use crate::functions::datetime::standard;
use crate::text::regex;
use crate::{Result, SqlError};
use std::cmp::Ordering;

type Truth = std::result::Result<Option<bool>, Failure>;

impl<'a> Walk<'a> {
    pub(super) fn test(&mut self, predicate: &'a Predicate, value: &Value<'a>) -> Truth {
        self.enter()?;
        let truth = match predicate {
            Predicate::And(sides) => {
                let [left, right] = &**sides;
                match self.test(left, value)? {
                    Some(false) => Some(false),
                    left => match self.test(right, value)? {
                        Some(true) => left,
                        right => right,
                    },
                }
            }
            Predicate::Or(sides) => {
                let [left, right] = &**sides;
                match self.test(left, value)? {
                    Some(true) => Some(true),
                    left => match self.test(right, value)? {
                        Some(false) => left,
                        right => right,
                    },
                }
            }
            Predicate::Not(inner) => self.test(inner, value)?.map(|truth| !truth),
            Predicate::IsUnknown(inner) => Some(self.test(inner, value)?.is_none()),
            Predicate::Exists(chain) => self.test_exists(chain, value)?,
            Predicate::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                self.test_pairs(left, Some((right, true)), value, |walk, a, b| walk.compare(*comparison, a, b))?
            }
            Predicate::StartsWith(sides) => {
                let [whole, initial] = &**sides;
                self.test_pairs(whole, Some((initial, false)), value, |_, whole, initial| {
                    Ok(whole.text().zip(initial.text()).map(|(whole, initial)| whole.starts_with(initial)))
                })?
            }
            Predicate::LikeRegex(like) => self.test_like(like, value)?,
        };
        self.leave();
        Ok(truth)
    }

    fn test_exists(&mut self, chain: &'a Chain, value: &Value<'a>) -> Truth {
        let is_lax = self.is_lax();
        let outcome = self.quietly(|walk| {
            if is_lax {
                return walk.execute(chain, value, true, None);
            }
            let mut found = Vec::new();
            walk.execute(chain, value, false, Some(&mut found)).map(|_| !found.is_empty())
        });
        match outcome {
            Ok(is_found) => Ok(Some(is_found)),
            Err(Failure::Quiet) => Ok(None),
            Err(raised) => Err(raised),
        }
    }

    fn test_like(&mut self, like: &'a LikeRegex, value: &Value<'a>) -> Truth {
        let pattern = regex::compiled(&like.pattern, like.flags.options())?;
        self.test_pairs(&like.value, None, value, |_, item, _| match item.text() {
            Some(text) => pattern.is_match(text).map(Some),
            None => Ok(None),
        })
    }

    /// The operands of a predicate; None where they can not be had.
    fn sequence(
        &mut self,
        chain: &'a Chain,
        value: &Value<'a>,
        unwraps: bool,
    ) -> std::result::Result<Option<Vec<Value<'a>>>, Failure> {
        match self.quietly(|walk| walk.operands(chain, value, unwraps)) {
            Ok(items) => Ok(Some(items)),
            Err(Failure::Quiet) => Ok(None),
            Err(raised) => Err(raised),
        }
    }

    /// Tests every pair of items; without a right side, every item with itself.
    fn test_pairs(
        &mut self,
        left: &'a Chain,
        right: Option<(&'a Chain, bool)>,
        value: &Value<'a>,
        test: impl Fn(&Self, &Value<'a>, &Value<'a>) -> Result<Option<bool>>,
    ) -> Truth {
        let Some(lefts) = self.sequence(left, value, true)? else { return Ok(None) };
        let rights = match right {
            None => None,
            Some((right, unwraps)) => match self.sequence(right, value, unwraps)? {
                None => return Ok(None),
                rights => rights,
            },
        };
        let (mut is_true, mut is_unknown) = (false, false);
        for left in &lefts {
            let against = rights.as_deref().unwrap_or(std::slice::from_ref(left));
            for right in against {
                self.count_step()?;
                match (test(self, left, right)?, self.is_lax()) {
                    (Some(true), true) => return Ok(Some(true)),
                    (Some(true), false) => is_true = true,
                    (Some(false), _) => {}
                    (None, true) => is_unknown = true,
                    (None, false) => return Ok(None),
                }
            }
        }
        Ok(match (is_true, is_unknown) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        })
    }

    /// Compares two items. Only those of one kind compare, but null is unequal to everything else.
    fn compare(&self, comparison: Comparison, a: &Value<'a>, b: &Value<'a>) -> Result<Option<bool>> {
        let (class, other) = (a.class(), b.class());
        if class != other {
            let has_null = class == Class::Null || other == Class::Null;
            return Ok(has_null.then_some(comparison == Comparison::NotEqual));
        }
        let order = match class {
            Class::Null => Some(Ordering::Equal),
            Class::Bool => Some(a.as_bool().cmp(&b.as_bool())),
            Class::Number => a.number().zip(b.number()).map(|(a, b)| a.cmp(&b)),
            Class::Text => a.text().zip(b.text()).map(|(a, b)| a.as_bytes().cmp(b.as_bytes())),
            Class::Moment => self.compare_moments(a, b)?,
            Class::Container => None,
        };
        Ok(order.map(|order| match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }))
    }

    fn compare_moments(&self, a: &Value<'a>, b: &Value<'a>) -> Result<Option<Ordering>> {
        let (Value::Moment(a), Value::Moment(b)) = (a, b) else { return Ok(None) };
        standard::compare(&a.value, &b.value, self.request.format, |from, to| {
            if self.request.uses_zone {
                return Ok(());
            }
            Err(SqlError::unsupported(format!("cannot convert value from {from} to {to} without time zone usage"))
                .hint("Use *_tz() function for time zone support."))
        })
    }
}
