//! `random()` and `setseed()`: PostgreSQL 15's generator (xoroshiro128**, seeded by splitmix64), so that a seed gives its numbers.

/// Not for secrets.
#[derive(Clone, Debug)]
pub struct SessionRandom {
    state: [u64; 2],
}

impl SessionRandom {
    pub fn from_seed(mut seed: u64) -> SessionRandom {
        let mut state = [splitmix(&mut seed), splitmix(&mut seed)];
        if state == [0, 0] {
            state = [1, 2];
        }
        SessionRandom { state }
    }

    /// `setseed`: a number in [-1, 1].
    pub fn from_fraction(fraction: f64) -> SessionRandom {
        let scale = ((1u64 << 52) - 1) as f64;
        SessionRandom::from_seed((scale * fraction) as i64 as u64)
    }

    fn next_u64(&mut self) -> u64 {
        let [s0, s1] = self.state;
        let mixed = s1 ^ s0;
        let value = s0.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        self.state = [s0.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37)];
        value
    }

    /// In [0, 1), with 52 random bits.
    pub fn next_fraction(&mut self) -> f64 {
        (self.next_u64() >> 12) as f64 / (1u64 << 52) as f64
    }
}

fn splitmix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *seed;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[test]
fn a_seed_gives_postgresqls_numbers() {
    let mut random = SessionRandom::from_fraction(0.5);
    assert_eq!([random.next_fraction(), random.next_fraction()], [0.9851677175347999, 0.825301858027981]);
    assert_eq!(SessionRandom::from_fraction(-0.25).next_fraction(), 0.5553213340039351);
}
