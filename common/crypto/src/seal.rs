//! Sealing at rest: AES-256-GCM under the master key of a process, bound to the place where the value lies.
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use exarch_common_base::{Ambient, ExposeSecret, SecretSlice};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const PREFIX: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A master key is exactly 32 bytes.
    #[error("a master key has 32 bytes")]
    KeyLength,
    /// Not a sealed value, or of a form that this version does not know.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed under another master key.
    #[error("sealed under another master key")]
    OtherKey,
    /// Altered, or moved from another place.
    #[error("the sealed value was altered or moved")]
    Altered,
}

/// The place of a value: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table, or file.
    pub table: &'a str,
    /// Column, or field.
    pub column: &'a str,
    /// The row's key.
    pub row: &'a str,
}

impl Place<'_> {
    fn aad(&self) -> Vec<u8> {
        // Length before each part, so that no two places share an encoding.
        let mut out = Vec::new();
        for part in [self.table, self.column, self.row] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

/// Seals and opens values under one master key.
pub struct Sealer {
    key: LessSafeKey,
    id: [u8; KEY_ID_LEN],
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.key_id())
    }
}

impl Sealer {
    /// From a master key of 32 bytes.
    ///
    /// # Errors
    /// [`SealError::KeyLength`].
    pub fn new(master: &SecretSlice<u8>) -> Result<Self, SealError> {
        let raw = master.expose_secret();
        let key = UnboundKey::new(&AES_256_GCM, raw).map_err(|_| SealError::KeyLength)?;
        let digest = crate::mac::hmac_sha256(raw, b"exarch master key id");
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest[..KEY_ID_LEN]);
        Ok(Self {
            key: LessSafeKey::new(key),
            id,
        })
    }

    /// The id of the master key, for people: hexadecimal, tells nothing of the key.
    pub fn key_id(&self) -> String {
        hex::encode(self.id)
    }

    /// Seals `plain` for `place`: version, key id, nonce, ciphertext with tag.
    pub fn seal(&self, ambient: &Ambient, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = ambient.bytes();
        let mut out = Vec::with_capacity(PREFIX + plain.len() + AES_256_GCM.tag_len());
        out.push(VERSION);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.aad()), &mut body)
            .expect("AES-GCM refuses only values above 64 GiB");
        out.extend_from_slice(&body);
        out.extend_from_slice(tag.as_ref());
        out
    }

    /// Opens what [`Sealer::seal`] made for the same place.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < PREFIX + AES_256_GCM.tag_len() || sealed[0] != VERSION {
            return Err(SealError::Malformed);
        }
        if sealed[1..=KEY_ID_LEN] != self.id {
            return Err(SealError::OtherKey);
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&sealed[1 + KEY_ID_LEN..PREFIX]).map_err(|_| SealError::Malformed)?;
        let mut body = Zeroizing::new(sealed[PREFIX..].to_vec());
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place.aad()), &mut body)
            .map_err(|_| SealError::Altered)?
            .len();
        body.truncate(plain);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        table: "gw.secret",
        column: "value",
        row: "1",
    };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&vec![byte; 32].into()).unwrap()
    }

    #[test]
    fn a_value_opens_in_its_place_under_its_key_only() {
        let ambient = Ambient::system();
        let sealed = sealer(1).seal(&ambient, PLACE, b"secret");
        assert_eq!(sealer(1).open(PLACE, &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(sealer(2).open(PLACE, &sealed), Err(SealError::OtherKey));
        for moved in [
            Place { row: "2", ..PLACE },
            Place { column: "", ..PLACE },
            Place {
                table: "gw.secretvalue",
                column: "",
                row: "1",
            },
        ] {
            assert_eq!(sealer(1).open(moved, &sealed), Err(SealError::Altered));
        }
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let sealed = sealer(1).seal(&Ambient::system(), PLACE, b"secret");
        for cut in 0..sealed.len() {
            assert!(sealer(1).open(PLACE, &sealed[..cut]).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut other = sealed.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer(1).open(PLACE, &other).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(Sealer::new(&vec![0; 31].into()).unwrap_err(), SealError::KeyLength);
    }
}
