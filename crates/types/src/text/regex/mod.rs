//! PostgreSQL's regular expressions over crates `regex-automata` and `fancy-regex`.
//!
//! **Promises.** The match that PostgreSQL takes: the leftmost, and of those the longest (or the shortest, where the first
//! quantifier is lazy), not the first in the order of alternatives. Time is linear in the text for all but look-around and
//! back references, which run under limits of steps (`backtrack`). Compiled patterns are kept, `CACHE_ENTRIES_MAX` a thread.
//!
//! **How.** `translate` rewrites the pattern. The leftmost start is the same for every order of preference, so the usual
//! engine finds it; where the end may differ, an anchored automaton that keeps all matches (`MatchKind::All`) walks from
//! there to the longest or shortest end. How groups share the match is plain in most patterns (`tree`): a search that must
//! end there reads them; in the others `divide` finds PostgreSQL's division part by part. A plain `~` needs none of it.
//!
//! **Leaves out.** With look-around or back references the match and its groups follow the order of alternatives, as in
//! Perl. Basic and extended syntax (`***`-directors, flags b and e) is 0A000.

mod backtrack;
mod divide;
mod similar;
mod translate;
mod tree;

pub use similar::similar_to_regex;
pub use translate::{Options, Preference};

use crate::{Result, SqlError, SqlState};
use backtrack::Backtracking;
use divide::{Parts, divide};
use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use translate::{Translated, invalid, translate};
use tree::{Ends, Node};

/// Compiled patterns kept by each thread; the one unused longest goes first.
const CACHE_ENTRIES_MAX: usize = 64;
/// Bytes of a compiled pattern, and of its automaton's working memory.
const PROGRAM_SIZE_MAX: usize = 4 << 20;
const AUTOMATON_SIZE_MAX: usize = 2 << 20;
/// Places of a match and its groups, in bytes; the whole match is the first.
pub type Groups = Vec<Option<(usize, usize)>>;

/// A compiled pattern.
pub struct Pattern {
    engine: Engine,
    /// Capturing groups.
    pub groups: usize,
}

enum Engine {
    Automata(Box<Automata>),
    Backtracking(Box<Backtracking>),
}

struct Automata {
    source: String,
    first: Regex,
    tree: Node,
    groups: usize,
    /// Made when the first match's end is asked for.
    whole: OnceCell<Option<Part>>,
    pinned: OnceCell<Option<Regex>>,
    parts: Parts,
}

/// An automaton that finds where a pattern, or a part of one, can end.
pub(crate) struct Part {
    dfa: DFA,
    cache: RefCell<dfa::Cache>,
}

impl Part {
    /// None where it would be too large.
    fn new(source: &str) -> Option<Part> {
        let config =
            DFA::config().match_kind(MatchKind::All).cache_capacity(AUTOMATON_SIZE_MAX).skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax_config())
            .thompson(thompson::Config::new().utf8(true).nfa_size_limit(Some(PROGRAM_SIZE_MAX)))
            .build(source)
            .ok()?;
        let cache = RefCell::new(dfa.create_cache());
        Some(Part { dfa, cache })
    }

    /// The longest (or shortest) end, up to `limit`, of a match that starts at `from`.
    fn end(&self, text: &str, from: usize, limit: usize, is_shortest: bool) -> Result<Option<usize>> {
        let input = Input::new(text).range(from..limit).anchored(Anchored::Yes).earliest(is_shortest);
        let end = self.dfa.try_search_fwd(&mut self.cache.borrow_mut(), &input).map_err(|_| too_complex())?;
        Ok(end.map(|end| end.offset()))
    }
}

#[cold]
fn too_complex() -> SqlError {
    invalid("regular expression is too complex")
}

/// Zero-width `(?-u:\B)` could fall inside a character; the search below is told that the text is UTF-8 all the same.
fn syntax_config() -> syntax::Config {
    syntax::Config::new().utf8(false).nest_limit(1_000)
}

fn build_first(source: &str) -> Result<Regex> {
    Regex::builder()
        .configure(
            Regex::config()
                .utf8_empty(true)
                .nfa_size_limit(Some(PROGRAM_SIZE_MAX))
                .hybrid_cache_capacity(AUTOMATON_SIZE_MAX)
                .onepass_size_limit(Some(PROGRAM_SIZE_MAX)),
        )
        .syntax(syntax_config())
        .build(source)
        .map_err(|_| too_complex())
}

impl Automata {
    fn new(translated: Translated) -> Result<Automata> {
        Ok(Automata {
            first: build_first(&translated.pattern)?,
            source: translated.pattern,
            tree: translated.tree,
            groups: translated.groups,
            whole: OnceCell::new(),
            pinned: OnceCell::new(),
            parts: Parts::new(),
        })
    }

    /// Start and end of the leftmost match at or behind `from`.
    fn find(&self, text: &str, from: usize) -> Result<Option<(usize, usize)>> {
        let Some(found) = self.first.search(&Input::new(text).range(from..)) else { return Ok(None) };
        // What can end in one place only, or is tried from the preferred end on, has been found as it should be.
        if self.tree.ends != Ends::Complex {
            return Ok(Some((found.start(), found.end())));
        }
        let whole = self.whole.get_or_init(|| Part::new(&self.source)).as_ref().ok_or_else(too_complex)?;
        let is_shortest = self.tree.preference == Preference::Shortest;
        let end = whole.end(text, found.start(), text.len(), is_shortest)?;
        Ok(Some((found.start(), end.unwrap_or(found.end()))))
    }

    fn groups(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let Some((start, end)) = self.find(text, from)? else { return Ok(None) };
        if self.groups == 0 {
            return Ok(Some(vec![Some((start, end))]));
        }
        if !self.tree.is_simple {
            return divide(&self.tree, &self.source, &self.parts, text, (start, end), self.groups).map(Some);
        }
        let mut captures = self.first.create_captures();
        self.first.search_captures(&Input::new(text).range(start..).anchored(Anchored::Yes), &mut captures);
        if captures.get_match().is_none_or(|found| found.end() != end) {
            // The order of alternatives gives another end: search again for a match that ends just there.
            let pinned = self.pinned.get_or_init(|| build_first(&format!("(?:{})\\z", self.source)).ok());
            let pinned = pinned.as_ref().ok_or_else(too_complex)?;
            let cut = text.get(..end).unwrap_or(text);
            captures = pinned.create_captures();
            pinned.search_captures(&Input::new(cut).range(start..).anchored(Anchored::Yes), &mut captures);
        }
        let group = |index| captures.get_group(index).map(|span| (span.start, span.end));
        let mut groups: Groups = (0..captures.group_len()).map(group).collect();
        if let Some(whole) = groups.first_mut() {
            *whole = Some((start, end));
        }
        Ok(Some(groups))
    }
}

impl Pattern {
    /// Compiles a pattern (2201B).
    pub fn new(pattern: &str, options: Options) -> Result<Pattern> {
        let translated = translate(pattern, options)?;
        let groups = translated.groups;
        let engine = match translated.backtracking {
            Some(rereads) => Engine::Backtracking(Box::new(Backtracking::new(translated.pattern, rereads)?)),
            None => Engine::Automata(Box::new(Automata::new(translated)?)),
        };
        Ok(Pattern { engine, groups })
    }

    /// Whether the pattern matches anywhere.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        match &self.engine {
            Engine::Automata(automata) => Ok(automata.first.is_match(text)),
            Engine::Backtracking(_) => Ok(self.find(text, 0)?.is_some()),
        }
    }

    /// Start and end of the leftmost match at or behind byte `from`.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<(usize, usize)>> {
        let found = match &self.engine {
            Engine::Automata(automata) => automata.find(text, from)?,
            Engine::Backtracking(engine) => engine.run(text, from, |regex, text, from| {
                let found = regex.find_from_pos(text, from)?;
                Ok(found.map(|m| (m.start(), m.end())))
            })?,
        };
        searched(text, from, found)?;
        Ok(found)
    }

    /// The leftmost match at or behind byte `from` with its groups.
    pub fn captures(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let found: Option<Groups> = match &self.engine {
            Engine::Automata(automata) => automata.groups(text, from)?,
            Engine::Backtracking(engine) => engine.run(text, from, |regex, text, from| {
                let place = |found: fancy_regex::Match<'_>| (found.start(), found.end());
                let found = regex.captures_from_pos(text, from)?;
                Ok(found.map(|c| (0..=self.groups).map(|index| c.get(index).map(place)).collect()))
            })?,
        };
        searched(text, from, found.as_ref().and_then(|groups| groups.first().copied().flatten()))?;
        Ok(found)
    }
}

/// What a search takes beside the bytes that it has gone through, in those.
const SEARCH_WORK: usize = 128;

/// A text may be searched once for each of its characters: whether the statement is still wanted is asked in between.
fn searched(text: &str, from: usize, found: Option<(usize, usize)>) -> Result<()> {
    let end = found.map_or(text.len(), |(_, end)| end);
    crate::stop::spent(SEARCH_WORK + end.saturating_sub(from))
}

#[cold]
fn gave_up() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "regular expression match took too many steps")
        .hint("Back references and look-around make a match expensive; simplify the pattern.")
}

/// Where to search on behind a match: one character further if it was empty, so that a search always ends.
pub fn next_start(text: &str, (start, end): (usize, usize)) -> Option<usize> {
    if end > start {
        return Some(end);
    }
    text.get(end..).and_then(|rest| rest.chars().next()).map(|c| end + c.len_utf8())
}

thread_local! {
    /// Patterns used lately, the last used in front.
    static CACHE: RefCell<VecDeque<(String, Options, Rc<Pattern>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A compiled pattern, from the thread's cache if it has it.
pub fn compiled(pattern: &str, options: Options) -> Result<Rc<Pattern>> {
    let cached = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().position(|(text, with, _)| *with == options && text == pattern)?;
        if at > 0 {
            let entry = cache.remove(at)?;
            cache.push_front(entry);
        }
        cache.front().map(|(_, _, pattern)| Rc::clone(pattern))
    });
    if let Some(pattern) = cached {
        return Ok(pattern);
    }
    // One pattern may take some milliseconds, and another one come with each row.
    crate::stop::look()?;
    let made = Rc::new(Pattern::new(pattern, options)?);
    CACHE.with_borrow_mut(|cache| {
        cache.truncate(CACHE_ENTRIES_MAX - 1);
        cache.push_front((pattern.to_owned(), options, Rc::clone(&made)));
    });
    Ok(made)
}

#[cfg(test)]
mod tests;
