//! Sealing with AES-256-GCM: under the master key for what outlives a segment (data keys, day keys), and the cipher that
//! the spool seals its frames with.
//!
//! A sealed value is `nonce (12) ‖ ciphertext ‖ tag (16)`. Nonces are random: NIST SP 800-38D section 8.3 allows 2³² of
//! them under one key, and one a second for a century is less. The context is authenticated, not stored: it says what the
//! value is for, so that one can't be passed off as another.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use rand::{Rng, TryRng, rngs::SysRng};
use sha2::Sha256;
use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Length of a key, in bytes.
pub const KEY_BYTES: usize = 32;
/// By how much a sealed value is longer than the plain one: nonce and tag, in bytes.
pub const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

/// A key could not be had, or a sealed value could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The value was sealed under another key or for another purpose, or it was changed since.
    #[error("this was sealed under another key or for another purpose, or it was changed since")]
    Refused,
    /// The key file is no key.
    #[error(
        "{path} is no key: it has {bytes} bytes, not 32; put the right file back, or remove it to get a new key \
             (what was sealed under the old one is lost then)"
    )]
    KeyLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The key file could not be read or written.
    #[error("the key file {path} could not be read or created: {source}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(String),
}

/// The key that everything at rest hangs on: it seals data keys and day keys, never events themselves.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Aes256Gcm,
    derivation: Hmac<Sha256>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads the key file, or creates it: 32 random bytes, readable by its owner alone, on disk before this returns.
    /// Of two processes that create it at once, one wins and both get the winner's key.
    ///
    /// # Errors
    /// When the file can't be read or created, or holds anything but 32 bytes.
    pub fn load_or_create(path: &Path) -> Result<Self, SealingError> {
        let failed = |source| SealingError::KeyFile { path: path.to_owned(), source };
        let found = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_key_file(path, &random_key()?).map_err(failed)?;
                fs::read(path).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{:03o}", mode & 0o777),
                "the key file can be read by other users of this machine; chmod 600 keeps it to its owner");
        }
        let bytes = found.len();
        let key = found.try_into().map_err(|_| SealingError::KeyLength { path: path.to_owned(), bytes })?;
        Ok(Self::from_bytes(key))
    }

    /// The key itself, from elsewhere.
    #[must_use]
    pub fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        let Ok(derivation) = Hmac::new_from_slice(&key) else { unreachable!("HMAC takes keys of any length") };
        Self { cipher: cipher(&key), derivation }
    }

    /// A key of its own for a purpose, the same each time: HKDF-Expand (RFC 5869) of one block, where the master
    /// key, being random, is the pseudorandom key.
    #[must_use]
    pub fn derive(&self, purpose: &[u8]) -> [u8; KEY_BYTES] {
        self.derivation.clone().chain_update(purpose).chain_update([1]).finalize().into_bytes().into()
    }

    /// Seals a value. `context` says what it is for and must be given again to open it.
    ///
    /// # Panics
    /// When `plain` is longer than AES-GCM can seal, 64 GiB.
    #[must_use]
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let Ok(ciphertext) = self.cipher.encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: context }) else {
            unreachable!("a value of 64 GiB or more to seal")
        };
        [&nonce[..], &ciphertext].concat()
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// [`SealingError::Refused`] when key or context differ, or the value was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealingError::Refused)?;
        let payload = Payload { msg: ciphertext, aad: context };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealingError::Refused)
    }
}

/// A key straight from the operating system.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_key() -> Result<[u8; KEY_BYTES], SealingError> {
    let mut key = [0; KEY_BYTES];
    SysRng.try_fill_bytes(&mut key).map_err(|error| SealingError::Randomness(error.to_string()))?;
    Ok(key)
}

pub(crate) fn cipher(key: &[u8; KEY_BYTES]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

/// Writes the key beside its place and links it there, so that no reader ever sees half a key and no key is replaced.
fn create_key_file(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".key-{}", uuid::Uuid::new_v4()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(key).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&beside, path));
    fs::remove_file(&beside)?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_its_context_and_unchanged() {
        let key = MasterKey::from_bytes([1; 32]);
        let sealed = key.seal(b"day key 5", b"secret");
        assert_eq!(sealed.len(), b"secret".len() + SEAL_BYTES);
        assert_eq!(key.open(b"day key 5", &sealed).unwrap(), b"secret");
        assert!(key.open(b"day key 6", &sealed).is_err());
        assert!(MasterKey::from_bytes([2; 32]).open(b"day key 5", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(b"day key 5", &changed).is_err(), "byte {at}");
            assert!(key.open(b"day key 5", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn two_seals_of_one_value_share_nothing() {
        let key = MasterKey::from_bytes([1; 32]);
        assert_ne!(key.seal(b"", b"secret"), key.seal(b"", b"secret"));
    }

    #[test]
    fn a_derived_key_depends_on_master_key_and_purpose() {
        // RFC 5869, HKDF-Expand with SHA-256, checked with another implementation.
        let derived = MasterKey::from_bytes([1; 32]).derive(b"visitor");
        assert_eq!(derived, MasterKey::from_bytes([1; 32]).derive(b"visitor"));
        assert_eq!(
            derived,
            [
                48, 31, 115, 84, 109, 24, 130, 118, 232, 161, 76, 106, 206, 200, 142, 46, 12, 16, 199, 170, 50, 117,
                112, 153, 73, 175, 67, 152, 61, 111, 84, 187
            ]
        );
        assert_ne!(derived, MasterKey::from_bytes([2; 32]).derive(b"visitor"));
        assert_ne!(derived, MasterKey::from_bytes([1; 32]).derive(b"other"));
    }

    #[test]
    fn a_key_file_is_created_once_for_its_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/master.key");
        let sealed = MasterKey::load_or_create(&path).unwrap().seal(b"", b"secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left beside it");
        assert_eq!(MasterKey::load_or_create(&path).unwrap().open(b"", &sealed).unwrap(), b"secret");
    }

    #[test]
    fn creators_at_the_same_time_get_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let create = || MasterKey::load_or_create(&path).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = keys[0].seal(b"", b"secret");
        assert!(keys.iter().all(|key| key.open(b"", &sealed).is_ok()));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        fs::write(&path, "short").unwrap();
        let error = MasterKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("5 bytes, not 32"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
