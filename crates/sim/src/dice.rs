//! Level 8. Chance from a seed: splitmix64, so that a stream can be split off anywhere and is the same on every machine.

use std::time::Duration;

/// A stream of numbers. Cloning repeats it; `split` begins another.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A stream of its own for a purpose: what one purpose uses up does not move the others.
    pub fn of(seed: u64, purpose: &str) -> Dice {
        Dice(purpose.bytes().fold(seed, |seed, byte| mix(seed ^ u64::from(byte))))
    }

    pub fn split(&mut self) -> Dice {
        Dice(self.next())
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0..`bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a bound far below 2^64 does not matter here.
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True in `percent` of 100 throws.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Up to `most`, mostly short: the square of an even throw.
    pub fn pause(&mut self, most: Duration) -> Duration {
        let share = self.below(1001) as f64 / 1000.0;
        most.mul_f64(share * share)
    }

    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        from + to.saturating_sub(from).mul_f64(self.below(1_000_001) as f64 / 1e6)
    }

    /// One of a list that is not empty.
    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        let at = self.index(list.len());
        list.get(at)
    }
}

pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[test]
fn streams_are_repeatable_and_apart() {
    let numbers = |dice: Dice| (0..4).scan(dice, |dice, _| Some(dice.next())).collect::<Vec<_>>();
    assert_eq!(numbers(Dice::of(1, "disk")), numbers(Dice::of(1, "disk")));
    assert_ne!(numbers(Dice::of(1, "disk")), numbers(Dice::of(1, "clients")));
    assert_ne!(numbers(Dice::of(1, "disk")), numbers(Dice::of(2, "disk")));
}
