//! The one source of randomness: seeded, so that a run can be repeated exactly.

/// `SplitMix64`: small, fast, and good enough for jitter and identifiers. It keeps no secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator that depends on `seed` and `label` only, so that each execution has its own sequence
    /// however executions interleave.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ hash)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "the 53 bits that remain are exact in an f64")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let high = (self.next_u64() & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (self.next_u64() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_label_repeat_the_sequence() {
        let (mut one, mut two) = (Rng::new(7, "a"), Rng::new(7, "a"));
        assert_eq!(one.uuid(), two.uuid());
        assert_ne!(Rng::new(7, "a").next_u64(), Rng::new(7, "b").next_u64());
        assert_ne!(Rng::new(7, "a").next_u64(), Rng::new(8, "a").next_u64());
    }

    #[test]
    fn uuids_are_version_4() {
        let uuid = Rng::new(1, "").uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
