//! Who the client is: trusted on loopback, or proven by SCRAM-SHA-256.

use crate::backend::Role;
use crate::decode::{self, Body};
use crate::listener::Service;
use crate::output::{Output, put_i32, put_text};
use crate::scram::{Exchange, Failure, Mock, Verifier};
use crate::socket::{Frame, ReadError, Reader};
use types::{Severity, SqlError, SqlState};

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// Everyone is who they say.
    Trust,
    /// A password, by SCRAM-SHA-256.
    Scram,
}

/// Bytes of a role's name.
const NAME_SIZE_MAX: usize = types::io::strings::NAME_SIZE_MAX;

const MECHANISM: &str = "SCRAM-SHA-256";
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;
const OK: i32 = 0;

/// Ends with AuthenticationOk in the buffer, or with the error to send. None: the client hung up.
pub(crate) async fn authenticate(
    method: AuthMethod,
    user: &str,
    service: &Service,
    reader: &mut Reader,
    output: &mut Output,
) -> Result<Option<Role>, SqlError> {
    if method == AuthMethod::Scram && user.len() > NAME_SIZE_MAX {
        // There can be none of that name, whatever the password.
        return Err(wrong_password(user));
    }
    let role = service.factory.role(user).await.map_err(|error| error.severity(Severity::Fatal))?;
    let role = match (method, role) {
        (AuthMethod::Trust, Some(role)) => role,
        (AuthMethod::Trust, None) => return Err(fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, no_role(user))),
        (AuthMethod::Scram, role) => {
            let verifier = role.as_ref().and_then(|role| role.verifier.as_deref()).and_then(Verifier::parse);
            match (scram(user, verifier, service, reader, output).await?, role) {
                (Some(()), Some(role)) => role,
                (Some(()), None) => return Err(wrong_password(user)),
                (None, _) => return Ok(None),
            }
        }
    };
    if !role.may_log_in {
        let message = format!("role \"{user}\" is not permitted to log in");
        return Err(fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    }
    put_request(output, OK, b"");
    Ok(Some(role))
}

async fn scram(
    user: &str,
    verifier: Option<Verifier>,
    service: &Service,
    reader: &mut Reader,
    output: &mut Output,
) -> Result<Option<()>, SqlError> {
    let random = service.host.random.as_ref();
    put_request(output, SASL, format!("{MECHANISM}\0\0").as_bytes());
    output.flush().await?;
    let Some(first) = password_message(reader).await? else { return Ok(None) };
    let mut body = Body(&first);
    if body.text()? != MECHANISM {
        return Err(fatal(SqlState::PROTOCOL_VIOLATION, "client selected an invalid SASL authentication mechanism"));
    }
    let length = usize::try_from(body.i32()?).map_err(|_| malformed())?;
    let failed = |failure| match failure {
        Failure::Malformed => malformed(),
        Failure::WrongPassword => wrong_password(user),
    };
    let exchange = Exchange::start(body.take(length)?, verifier, Mock { secret: &service.secret, user }, random)
        .map_err(failed)?;
    body.end()?;
    put_request(output, SASL_CONTINUE, exchange.answer.as_bytes());
    output.flush().await?;
    let Some(last) = password_message(reader).await? else { return Ok(None) };
    let answer = exchange.finish(&last).map_err(failed)?;
    put_request(output, SASL_FINAL, answer.as_bytes());
    Ok(Some(()))
}

/// The only message a client may send before it is in.
async fn password_message(reader: &mut Reader) -> Result<Option<bytes::Bytes>, SqlError> {
    match reader.frame().await {
        Ok(Some(Frame::Message { tag: b'p', body })) => Ok(Some(body)),
        Ok(Some(Frame::Message { tag, .. } | Frame::TooLong { tag })) => {
            Err(fatal(SqlState::PROTOCOL_VIOLATION, format!("expected SASL response, got message type {tag}")))
        }
        Ok(None) | Err(ReadError::Socket) => Ok(None),
        Err(ReadError::Protocol(error)) => Err(error.severity(Severity::Fatal)),
    }
}

fn put_request(output: &mut Output, kind: i32, data: &[u8]) {
    output.frame(b'R', |buffer| {
        put_i32(buffer, kind);
        buffer.extend_from_slice(data);
    });
}

/// NegotiateProtocolVersion: what is spoken instead, and the options that are not known.
pub(crate) fn put_negotiation(output: &mut Output, version: i32, unknown: &[String]) {
    output.frame(b'v', |buffer| {
        put_i32(buffer, version);
        put_i32(buffer, unknown.len() as i32);
        unknown.iter().for_each(|name| put_text(buffer, name));
    });
}

fn no_role(user: &str) -> String {
    format!("role \"{user}\" does not exist")
}

fn wrong_password(user: &str) -> SqlError {
    fatal(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

fn malformed() -> SqlError {
    decode::violation("malformed SCRAM message").severity(Severity::Fatal)
}

fn fatal(code: SqlState, message: impl Into<String>) -> SqlError {
    SqlError::new(code, message).severity(Severity::Fatal)
}
