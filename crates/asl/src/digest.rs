//! The digests of `$hash`. SHA-2 comes from the `sha2` crate; MD5 and SHA-1 serve no security here and are short.

use sha2::Digest;

/// The lower-case hex digest of `data`; `None` for an unknown algorithm. Names are case-sensitive, as on AWS.
pub(crate) fn hex_digest(algorithm: &str, data: &[u8]) -> Option<String> {
    Some(match algorithm {
        "MD5" => hex::encode(md5(data)),
        "SHA-1" => hex::encode(sha1(data)),
        "SHA-256" => hex::encode(sha2::Sha256::digest(data)),
        "SHA-384" => hex::encode(sha2::Sha384::digest(data)),
        "SHA-512" => hex::encode(sha2::Sha512::digest(data)),
        _ => return None,
    })
}

/// The message with its padding: a one bit, zeros, and the length in bits (`length`) in the last eight bytes.
fn padded(data: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend(length);
    message
}

fn bits(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX).wrapping_mul(8)
}

fn sha1(data: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded(data, bits(data).to_be_bytes()).as_chunks::<64>().0 {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for index in 16..80 {
            words[index] =
                (words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (index, word) in words.iter().enumerate() {
            let (mixed, constant) = match index {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

const MD5_SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// `floor(2^32 * |sin(index + 1)|)`, MD5's table.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^32 and not negative")]
fn md5_constant(index: u32) -> u32 {
    ((f64::from(index) + 1.0).sin().abs() * 4_294_967_296.0) as u32
}

fn md5(data: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(data, bits(data).to_le_bytes()).as_chunks::<64>().0 {
        let mut words = [0_u32; 16];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [mut a, mut b, mut c, mut d] = state;
        for index in 0..64_u32 {
            let (mixed, word) = match index / 16 {
                0 => ((b & c) | (!b & d), index),
                1 => ((d & b) | (!d & c), (5 * index + 1) % 16),
                2 => (b ^ c ^ d, (3 * index + 5) % 16),
                _ => (c ^ (b | !d), (7 * index) % 16),
            };
            let sum =
                a.wrapping_add(mixed).wrapping_add(md5_constant(index)).wrapping_add(words[word as usize]);
            let turned = sum.rotate_left(MD5_SHIFTS[(index / 16) as usize][(index % 4) as usize]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        let fox = b"The quick brown fox jumps over the lazy dog";
        for (algorithm, data, digest) in [
            ("MD5", &b""[..], "d41d8cd98f00b204e9800998ecf8427e"),
            ("MD5", fox, "9e107d9d372bb6826bd81d3542a419d6"),
            ("SHA-1", b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("SHA-1", fox, "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
            ("SHA-256", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(hex_digest(algorithm, data).as_deref(), Some(digest), "{algorithm}");
        }
        let long = [b'a'; 1_000];
        assert_eq!(hex_digest("SHA-1", &long).unwrap(), "291e9a6c66994949b57ba5e650361e98fc36b1ba");
        assert_eq!(hex_digest("MD5", &long).unwrap(), "cabe45dcc9ae5b66ba86600cca6b8ba8");
        assert_eq!(hex_digest("sha-256", b""), None);
    }
}
