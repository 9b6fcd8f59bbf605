//! Seeded pseudo-random picks: the same seed gives the same names, ids and delays.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

/// The letters of generated names: no vowels, so that no word comes out.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// The random end of a generated name.
    pub(crate) fn suffix(&mut self) -> String {
        (0..5).map(|_| letter(self.below(27))).collect()
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 50),
            b & 0xffff_ffff_ffff
        )
    }
}

fn letter(index: u64) -> char {
    NAME_LETTERS[usize::try_from(index % 27).unwrap_or(0)].into()
}

/// FNV-1a, 64 bits: a stable hash for names.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The hash of a pod template as it appears in names and labels: ten letters of the safe alphabet.
pub(crate) fn template_hash(text: &str) -> String {
    let mut h = hash(text);
    (0..10)
        .map(|_| {
            let c = letter(h % 27);
            h /= 27;
            c
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_names_and_valid_uuids() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert_eq!(a.suffix(), b.suffix());
        let uuid = a.uuid();
        assert_eq!(uuid.len(), 36, "{uuid}");
        assert_eq!(&uuid[14..15], "4");
        assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]), "{uuid}");
    }
}
