//! How the groups of a pattern share a match that is known: PostgreSQL's rule.
//!
//! In a sequence the first part takes the longest piece (the shortest, if that is its preference) with which the rest can
//! still match to the end; then the next part, and so on. Of alternatives the first one that matches the piece is taken; a
//! repeated group keeps its last round. Every question "does this part match just this piece" goes to an automaton of the
//! part, which is made when first asked and kept with the pattern.

use super::translate::Preference;
use super::tree::{Kind, Node};
use super::{Groups, Part, gave_up, too_complex};
use crate::Result;
use foldhash::{HashMap, HashMapExt};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Automata of the parts of one pattern.
const PARTS_MAX: usize = 256;
/// Bytes looked at in dividing one match; the pieces tried grow with the square of a long text.
const BYTES_MAX: usize = 1 << 30;

/// The parts' automata, by their source.
#[derive(Default)]
pub struct Parts {
    made: RefCell<HashMap<String, Rc<Part>>>,
}

impl Parts {
    pub fn new() -> Parts {
        Parts { made: RefCell::new(HashMap::new()) }
    }

    fn get(&self, source: &str) -> Result<Rc<Part>> {
        if let Some(part) = self.made.borrow().get(source) {
            return Ok(Rc::clone(part));
        }
        let mut made = self.made.borrow_mut();
        if made.len() >= PARTS_MAX {
            return Err(too_complex());
        }
        let part = Rc::new(Part::new(source).ok_or_else(too_complex)?);
        made.insert(source.to_owned(), Rc::clone(&part));
        Ok(part)
    }
}

/// Divides the match `[start, end)` of the whole tree among its groups.
pub fn divide(
    tree: &Node,
    source: &str,
    parts: &Parts,
    text: &str,
    place: (usize, usize),
    groups: usize,
) -> Result<Groups> {
    let mut found: Groups = vec![None; groups + 1];
    found[0] = Some(place);
    let divider = Divider { source, parts, text, looked_at: Cell::new(0) };
    divider.node(tree, place, &mut found)?;
    Ok(found)
}

struct Divider<'a> {
    source: &'a str,
    parts: &'a Parts,
    text: &'a str,
    looked_at: Cell<usize>,
}

impl Divider<'_> {
    fn source_of(&self, (from, to): (usize, usize)) -> &str {
        self.source.get(from..to).unwrap_or_default()
    }

    /// Where a part that starts at `from` ends, at `limit` at the latest, by its longest match.
    fn longest(&self, part: &Part, from: usize, limit: usize) -> Result<Option<usize>> {
        let looked_at = self.looked_at.get() + (limit - from) + 1;
        self.looked_at.set(looked_at);
        if looked_at > BYTES_MAX {
            return Err(gave_up());
        }
        part.end(self.text, from, limit, false)
    }

    fn is_exact(&self, part: &Part, (from, to): (usize, usize)) -> Result<bool> {
        Ok(self.longest(part, from, to)? == Some(to))
    }

    /// `place` is known to be a match of the node.
    fn node(&self, node: &Node, place: (usize, usize), groups: &mut Groups) -> Result<()> {
        match &node.kind {
            Kind::Leaf => Ok(()),
            Kind::Group(index, inner) => {
                if let Some(group) = groups.get_mut(*index) {
                    *group = Some(place);
                }
                self.node(inner, place, groups)
            }
            Kind::Alternation(branches) => {
                for branch in branches {
                    if self.is_exact(&*self.parts.get(self.source_of(branch.range))?, place)? {
                        return self.node(branch, place, groups);
                    }
                }
                Ok(())
            }
            Kind::Concat(parts) => self.concat(parts, place, groups),
            Kind::Repeat { inner, low, high } => self.repeat(node, inner, (*low, *high), place, groups),
        }
    }

    fn concat(&self, parts: &[Node], (mut from, to): (usize, usize), groups: &mut Groups) -> Result<()> {
        for (index, part) in parts.iter().enumerate() {
            let rest = parts.get(index + 1..).unwrap_or_default();
            if !part.has_groups && !rest.iter().any(|part| part.has_groups) {
                return Ok(());
            }
            let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
                return self.node(part, (from, to), groups);
            };
            let own = self.parts.get(self.source_of(part.range))?;
            let behind = self.parts.get(self.source_of((first.range.0, last.range.1)))?;
            let Some(middle) = self.middle(&own, &behind, part.preference, (from, to), 0)? else { return Ok(()) };
            self.node(part, (from, middle), groups)?;
            from = middle;
        }
        Ok(())
    }

    /// The preferred place where `own` can end, `size_min` bytes on at least, so that `behind` matches the rest.
    fn middle(
        &self,
        own: &Part,
        behind: &Part,
        preference: Preference,
        (from, to): (usize, usize),
        size_min: usize,
    ) -> Result<Option<usize>> {
        let Some(longest) = self.longest(own, from, to)? else { return Ok(None) };
        let mut places: Vec<usize> = (from + size_min..=longest).filter(|at| self.text.is_char_boundary(*at)).collect();
        if preference != Preference::Shortest {
            places.reverse();
        }
        for at in places {
            if self.is_exact(own, (from, at))? && self.is_exact(behind, (at, to))? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// `x*` goes round after round, each as `x` alone prefers it, and keeps the last round's groups. Any other repetition:
    /// PostgreSQL reads `x{m,n}` as `x{m-1,n-1}` without its groups and one last `x` with them, and `x{0,n}` as `x{1,n}` or
    /// else nothing: so the rounds before take what they prefer, and the last one the rest.
    fn repeat(
        &self,
        node: &Node,
        inner: &Node,
        (low, high): (u32, Option<u32>),
        (from, to): (usize, usize),
        groups: &mut Groups,
    ) -> Result<()> {
        let inner_source = self.source_of(inner.range);
        let own = self.parts.get(inner_source)?;
        // Over nothing, what may be absent is a round only if it likes to be long and can be empty.
        if low == 0 && from == to {
            let is_round = inner.preference != Preference::Shortest && self.is_exact(&own, (from, to))?;
            return if is_round { self.node(inner, (from, to), groups) } else { Ok(()) };
        }
        if (low, high) == (0, None) {
            let behind = self.parts.get(&format!("(?:{inner_source})*"))?;
            let (mut start, mut round) = (from, None);
            while start < to {
                let place = (start, to);
                let Some(end) = self.middle(&own, &behind, inner.preference, place, 1)? else { break };
                round = Some((start, end));
                start = end;
            }
            return round.map_or(Ok(()), |round| self.node(inner, round, groups));
        }
        if high == Some(1) {
            return self.node(inner, (from, to), groups);
        }
        let least = low.saturating_sub(1);
        let before = match high {
            Some(high) => format!("(?:{inner_source}){{{least},{}}}", high.saturating_sub(1)),
            None if least == 0 => format!("(?:{inner_source})*"),
            None => format!("(?:{inner_source}){{{least},}}"),
        };
        let before = self.parts.get(&before)?;
        match self.middle(&before, &own, node.preference, (from, to), 0)? {
            Some(middle) => self.node(inner, (middle, to), groups),
            None => Ok(()),
        }
    }
}
