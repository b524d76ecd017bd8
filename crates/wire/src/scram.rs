//! SCRAM-SHA-256 (RFC 5802, RFC 7677) on the server's side, and the form in which passwords are stored.
//!
//! A role's password is kept as PostgreSQL keeps it: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, so dumps
//! move both ways. A role that does not exist, or has no password, gets a made-up verifier and fails at the end like a wrong
//! password. Channel binding is not offered.

use crate::cancel::same;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use host::Random;
use sha2::{Digest, Sha256};

const PREFIX: &str = "SCRAM-SHA-256";
const DEFAULT_ITERATIONS: u32 = 4096;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;
/// Longest client nonce that is taken.
const CLIENT_NONCE_LIMIT: usize = 1024;

pub(crate) type Key = [u8; 32];

/// What a server must know to check a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    /// For a password, with a fresh salt.
    pub fn make(password: &str, random: &dyn Random) -> Verifier {
        let mut salt = vec![0; SALT_BYTES];
        random.fill(&mut salt);
        Verifier::derive(password, salt, DEFAULT_ITERATIONS)
    }

    fn derive(password: &str, salt: Vec<u8>, iterations: u32) -> Verifier {
        // As PostgreSQL: a password that SASLprep refuses is used as its bytes.
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let salted: Key = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(prepared.as_bytes(), &salt, iterations);
        let client_key = sign(&salted, b"Client Key");
        Verifier {
            iterations,
            salt,
            stored_key: Sha256::digest(client_key).into(),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// Reads the stored form; None if it is not one.
    pub fn parse(stored: &str) -> Option<Verifier> {
        let rest = stored.strip_prefix(PREFIX)?.strip_prefix('$')?;
        let (iterations, rest) = rest.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        Some(Verifier {
            iterations: iterations.parse().ok().filter(|&count| count > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: STANDARD.decode(stored_key).ok()?.try_into().ok()?,
            server_key: STANDARD.decode(server_key).ok()?.try_into().ok()?,
        })
    }

    /// Whether this is the password's verifier; used for passwords that come in the clear.
    pub fn accepts(&self, password: &str) -> bool {
        let made = Verifier::derive(password, self.salt.clone(), self.iterations);
        same(&made.stored_key, &self.stored_key)
    }

    /// One that no password fits.
    /// Looks like a real one and fits no password. One name always has the same salt, as a real one has.
    fn made_up(mock: &Mock<'_>) -> Verifier {
        let mut salt = sign(mock.secret, mock.user.as_bytes()).to_vec();
        salt.truncate(SALT_BYTES);
        Verifier { iterations: DEFAULT_ITERATIONS, salt, stored_key: *mock.secret, server_key: *mock.secret }
    }
}

/// The stored form.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, stored) = (STANDARD.encode(&self.salt), STANDARD.encode(self.stored_key));
        write!(f, "{PREFIX}${}:{salt}${stored}:{}", self.iterations, STANDARD.encode(self.server_key))
    }
}

/// Keys are secrets: not printed.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}

fn sign(key: &[u8], message: &[u8]) -> Key {
    // HMAC takes keys of any length, so the error can not be; a zero key would fail the exchange.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        Err(_) => [0; 32],
    }
}

/// How an exchange fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Malformed,
    WrongPassword,
}

/// What a verifier is made up from where a role has none.
pub(crate) struct Mock<'a> {
    pub secret: &'a Key,
    pub user: &'a str,
}

/// The exchange after the client's first message.
pub(crate) struct Exchange {
    verifier: Verifier,
    /// Whether the verifier is a role's own.
    known: bool,
    header: String,
    nonce: String,
    first: String,
    /// The server's first message.
    pub answer: String,
}

impl Exchange {
    /// From client-first-message (`n,,n=user,r=nonce`). The user is start-up's, not this one's.
    pub fn start(
        client_first: &[u8],
        verifier: Option<Verifier>,
        mock: Mock<'_>,
        random: &dyn Random,
    ) -> Result<Exchange, Failure> {
        let message = std::str::from_utf8(client_first).map_err(|_| Failure::Malformed)?;
        // `p=…` asks for channel binding, which was not offered.
        let header = ["n,,", "y,,"].into_iter().find(|header| message.starts_with(header)).ok_or(Failure::Malformed)?;
        let bare = &message[header.len()..];
        let mut attributes = bare.split(',');
        let _user = attributes.next().filter(|text| text.starts_with("n=")).ok_or(Failure::Malformed)?;
        let client_nonce = attributes.next().and_then(|text| text.strip_prefix("r=")).ok_or(Failure::Malformed)?;
        let printable = client_nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if client_nonce.is_empty() || client_nonce.len() > CLIENT_NONCE_LIMIT || !printable {
            return Err(Failure::Malformed);
        }
        let mut own = [0; NONCE_BYTES];
        random.fill(&mut own);
        let nonce = format!("{client_nonce}{}", STANDARD.encode(own));
        let known = verifier.is_some();
        let verifier = verifier.unwrap_or_else(|| Verifier::made_up(&mock));
        let answer = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Ok(Exchange { verifier, known, header: header.to_owned(), nonce, first: bare.to_owned(), answer })
    }

    /// Checks client-final-message; gives server-final-message.
    pub fn finish(&self, client_final: &[u8]) -> Result<String, Failure> {
        let message = std::str::from_utf8(client_final).map_err(|_| Failure::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let expected = format!("c={},r={}", STANDARD.encode(&self.header), self.nonce);
        if without_proof != expected {
            return Err(Failure::Malformed);
        }
        let proof: Key =
            STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(Failure::Malformed)?;
        let signed = format!("{},{},{without_proof}", self.first, self.answer);
        let signature = sign(&self.verifier.stored_key, signed.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        let matches = same(&Sha256::digest(client_key), &self.verifier.stored_key);
        if !matches || !self.known {
            return Err(Failure::WrongPassword);
        }
        Ok(format!("v={}", STANDARD.encode(sign(&self.verifier.server_key, signed.as_bytes()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_read_back_and_fits_only_its_password() {
        let verifier = Verifier::make("pencil", &host::RealRandom);
        let read = Verifier::parse(&verifier.to_string()).unwrap();
        assert!(read == verifier && read.accepts("pencil") && !read.accepts("pencil "));
        for bad in ["", "md5abc", "SCRAM-SHA-256$0:QQ==$QQ==:QQ==", "SCRAM-SHA-256$4096:QQ==$QQ==:QQ=="] {
            assert!(Verifier::parse(bad).is_none(), "{bad}");
        }
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_standards_own_exchange_is_accepted() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive("pencil", salt, 4096);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = Exchange {
            verifier,
            known: true,
            header: "n,,".to_owned(),
            nonce: nonce.to_owned(),
            first: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            answer: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
        };
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(exchange.finish(last.as_bytes()).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let wrong = last.replace("p=dHzb", "p=eHzb");
        assert_eq!(exchange.finish(wrong.as_bytes()), Err(Failure::WrongPassword));
        assert_eq!(exchange.finish(b"c=biws"), Err(Failure::Malformed));
    }

    #[test]
    fn channel_binding_that_was_not_offered_is_refused() {
        let start =
            |first: &[u8]| Exchange::start(first, None, Mock { secret: &[7; 32], user: "u" }, &host::RealRandom).err();
        assert_eq!(start(b"p=tls-server-end-point,,n=,r=abc"), Some(Failure::Malformed));
        assert_eq!(start(b"n,,n=,r="), Some(Failure::Malformed));
        assert_eq!(start(b"n,,n=,r=abc"), None);
    }
}
