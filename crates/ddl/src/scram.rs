//! Passwords as they are stored: a SCRAM-SHA-256 verifier, from which the password cannot be read back (RFC 5802, RFC 7677).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use types::{Result, SqlError};

/// PostgreSQL's default.
const ITERATIONS: u32 = 4_096;
pub(super) const SALT_BYTES: usize = 16;

fn hmac(key: &[u8], message: &[u8]) -> Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SqlError::internal("HMAC key"))?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

/// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
pub(super) fn verifier(password: &str, salt: &[u8; SALT_BYTES]) -> Result<String> {
    // A password that SASLprep refuses is used as it is, as clients do.
    let prepared = stringprep::saslprep(password).map_or_else(|_| password.to_owned(), |p| p.into_owned());
    let mut salted = [0; 32];
    pbkdf2::pbkdf2::<Hmac<Sha256>>(prepared.as_bytes(), salt, ITERATIONS, &mut salted)
        .map_err(|_| SqlError::internal("PBKDF2"))?;
    let stored_key = Sha256::digest(hmac(&salted, b"Client Key")?);
    let server_key = hmac(&salted, b"Server Key")?;
    let (salt, stored, server) = (STANDARD.encode(salt), STANDARD.encode(stored_key), STANDARD.encode(server_key));
    Ok(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

/// Whether a text is a verifier already (pg_dumpall sends them).
pub(super) fn is_verifier(text: &str) -> bool {
    let parse = || {
        let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored, server) = keys.split_once(':')?;
        iterations.parse::<u32>().ok()?;
        let is_key = |text: &str| STANDARD.decode(text).is_ok_and(|key| key.len() == 32);
        Some(STANDARD.decode(salt).is_ok() && is_key(stored) && is_key(server))
    };
    parse() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by PostgreSQL 15 for password `pencil`.
    #[test]
    fn verifier_is_postgresqls() {
        let postgres = "SCRAM-SHA-256$4096:webOHac4ADh1TvFZ4WOZ3Q==$9wmQlgkBZxsVDrZkSbCieaLtZytwWiU0IwohvJUK4eU=:565hSj52plltHvFpmK/lLsgB5cV5w1YantByIiK+5WI=";
        let salt = STANDARD.decode("webOHac4ADh1TvFZ4WOZ3Q==").unwrap();
        let made = verifier("pencil", salt.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(made, postgres);
        assert!(is_verifier(&made));
        assert!(!is_verifier("SCRAM-SHA-256$4096:x$y"));
        assert!(!is_verifier("pencil"));
    }
}
