//! The engine for look-around and back references: crate `fancy-regex`, which tries things and steps back.
//!
//! **Promises.** A search ends, and asks on the way whether its statement is still wanted. The crate can not be interrupted, so
//! it is given little at a time: a search of the whole text in `SEARCH_STEPS`; where they do not suffice, each place of the
//! text where a match can start, under the numbers of `ATTEMPT_STEPS` in turn. What could take longer than is waited for a
//! cancelled statement is refused (54001): a step reads the text at most once, but a look-around that runs on to any length and
//! stands in a repetition reads it again and again ([`Rereads`]).

use super::{PROGRAM_SIZE_MAX, SEARCH_WORK, gave_up, too_complex};
use crate::{Result, stop};
use std::cell::OnceCell;

/// Steps of a search of the whole text: the most that can be waited for. The crate does some patterns without any.
const SEARCH_STEPS: [usize; 2] = [4_000, 16];
/// Steps of an attempt to match at one place; each number begins anew.
const ATTEMPT_STEPS: [usize; 6] = [16, 256, 4_000, 32_000, 256_000, 1_000_000];
/// Steps that the attempts of one search may have begun in vain.
const VAIN_STEPS_MAX: usize = 64_000_000;
/// Steps times bytes of the text that may be begun where a step seldom reads much of it.
const WORK_MAX: usize = 400_000_000_000;
/// Bytes that may be read between two questions where a step may read the whole text, some tenths of a second: as many steps as
/// a text of 32 KiB has characters.
const READ_MAX: usize = 1 << 30;

/// How often one attempt may read the text by look-around of any length: never (0), once a step (1), once for each of its
/// characters and step (2, in a repetition), and so on.
pub type Rereads = u32;

pub struct Backtracking {
    source: String,
    rereads: Rereads,
    searches: [fancy_regex::Regex; SEARCH_STEPS.len()],
    /// Bound to the place where the search starts.
    attempts: [OnceCell<fancy_regex::Regex>; ATTEMPT_STEPS.len()],
}

fn build(source: &str, steps: usize) -> Result<fancy_regex::Regex> {
    fancy_regex::RegexBuilder::new(source)
        .backtrack_limit(steps)
        .delegate_size_limit(PROGRAM_SIZE_MAX)
        .build()
        .map_err(|_| too_complex())
}

impl Backtracking {
    pub fn new(source: String, rereads: Rereads) -> Result<Backtracking> {
        let [many, few] = SEARCH_STEPS;
        let searches = [build(&source, many)?, build(&source, few)?];
        Ok(Backtracking { source, rereads, searches, attempts: Default::default() })
    }

    fn attempt(&self, index: usize) -> Result<(&fancy_regex::Regex, usize)> {
        let (Some(attempt), Some(steps)) = (self.attempts.get(index), ATTEMPT_STEPS.get(index)) else {
            return Err(gave_up());
        };
        if let Some(regex) = attempt.get() {
            return Ok((regex, *steps));
        }
        let regex = build(&format!("\\G(?:{})", self.source), *steps)?;
        Ok((attempt.get_or_init(|| regex), *steps))
    }

    /// Whether so many steps over a text so long can be waited for.
    fn is_bearable(&self, steps: usize, length: usize) -> bool {
        match self.rereads {
            0 => steps.saturating_mul(length) <= WORK_MAX,
            rereads => steps.saturating_mul(length.saturating_pow(rereads)) <= READ_MAX,
        }
    }

    /// The first match at or behind byte `from`: `search` says what is asked of the engine there.
    pub fn run<'t, T>(
        &self,
        text: &'t str,
        from: usize,
        search: impl Fn(&fancy_regex::Regex, &'t str, usize) -> Result<Option<T>, fancy_regex::Error>,
    ) -> Result<Option<T>> {
        let bearable = SEARCH_STEPS.iter().zip(&self.searches).find(|(steps, _)| {
            let steps = **steps;
            self.is_bearable(steps, text.len()) && steps.saturating_mul(text.len()) <= READ_MAX
        });
        if let Some((_, whole)) = bearable
            && let Ok(found) = search(whole, text, from)
        {
            return Ok(found);
        }
        let mut vain = 0usize;
        let starts = text.get(from..).unwrap_or_default().char_indices().map(|(at, _)| from + at);
        for start in starts.chain([text.len()]) {
            let found = self.at(text, start, &mut vain, &search)?;
            if found.is_some() {
                return Ok(found);
            }
            // The attempt may have read on to the end.
            stop::spent(SEARCH_WORK + text.len().saturating_sub(start))?;
        }
        Ok(None)
    }

    /// The match that starts at byte `start`.
    fn at<'t, T>(
        &self,
        text: &'t str,
        start: usize,
        vain: &mut usize,
        search: impl Fn(&fancy_regex::Regex, &'t str, usize) -> Result<Option<T>, fancy_regex::Error>,
    ) -> Result<Option<T>> {
        for index in 0..ATTEMPT_STEPS.len() {
            let (regex, steps) = self.attempt(index)?;
            // The least number is tried unless a single step is too much.
            if !self.is_bearable(if index == 0 { 1 } else { steps }, text.len()) || *vain > VAIN_STEPS_MAX {
                break;
            }
            if let Ok(found) = search(regex, text, start) {
                return Ok(found);
            }
            *vain = vain.saturating_add(steps);
            stop::look()?;
        }
        Err(gave_up())
    }
}
