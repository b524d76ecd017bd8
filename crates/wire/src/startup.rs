//! From an accepted socket to a connection that is in: SSLRequest, GSSENCRequest, CancelRequest or StartupMessage.
//!
//! Until the start-up packet is read, bytes are taken one packet at a time and never ahead: what a client sends in the
//! clear behind an SSLRequest reaches the TLS handshake and fails it, so nothing in the clear is ever
//! taken for encrypted.

use crate::decode::{Body, violation};
use crate::limits::STARTUP_PACKET_LIMIT;
use crate::listener::Service;
use crate::socket::Socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use types::{Severity, SqlError, SqlState};

const CANCEL: i32 = 80_877_102;
const SSL: i32 = 80_877_103;
const GSS_ENCRYPTION: i32 = 80_877_104;
pub(crate) const VERSION_3_0: i32 = 3 << 16;
pub(crate) const VERSION_3_2: i32 = (3 << 16) | 2;

/// What came of the first packets.
pub(crate) enum Opening {
    Start(Socket, Startup),
    /// Refused: to be told and closed.
    Refused(Socket, SqlError),
    /// A cancel request was handled, or the client went away.
    Done,
}

/// A StartupMessage.
#[derive(Debug)]
pub(crate) struct Startup {
    /// The version that will be spoken.
    pub version: i32,
    /// Something the client asked for is not spoken: it must be told.
    pub negotiate: bool,
    pub unknown_options: Vec<String>,
    pub user: String,
    pub database: String,
    pub settings: Vec<(String, String)>,
}

pub(crate) async fn open(stream: TcpStream, service: &Service) -> Opening {
    let mut socket = Socket::Plain(stream);
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        let Some(packet) = packet(&mut socket).await else { return Opening::Done };
        let mut body = Body(&packet);
        let Ok(code) = body.i32() else { return Opening::Done };
        match (code, socket) {
            (CANCEL, _) => {
                if let Ok(process_id) = body.i32() {
                    service.registry.cancel(process_id, body.0).await;
                }
                return Opening::Done;
            }
            (SSL | GSS_ENCRYPTION, _) if !body.0.is_empty() => return Opening::Done,
            (SSL, Socket::Plain(stream)) if !asked_tls => {
                asked_tls = true;
                match encrypt(stream, service).await {
                    Some(next) => socket = next,
                    None => return Opening::Done,
                }
            }
            (GSS_ENCRYPTION, Socket::Plain(mut stream)) if !asked_gss => {
                asked_gss = true;
                if stream.write_all(b"N").await.is_err() {
                    return Opening::Done;
                }
                socket = Socket::Plain(stream);
            }
            (version, socket) => {
                return match startup(version, body) {
                    Ok(startup) => Opening::Start(socket, startup),
                    Err(error) => Opening::Refused(socket, error.severity(Severity::Fatal)),
                };
            }
        }
    }
}

/// Answers an SSLRequest.
async fn encrypt(mut stream: TcpStream, service: &Service) -> Option<Socket> {
    let Some(config) = &service.settings.tls else {
        stream.write_all(b"N").await.ok()?;
        return Some(Socket::Plain(stream));
    };
    stream.write_all(b"S").await.ok()?;
    let stream = tokio_rustls::TlsAcceptor::from(config.clone()).accept(stream).await.ok()?;
    Some(Socket::Tls(Box::new(stream)))
}

/// A packet without a tag; None if the client went away or what it sent can not be one.
async fn packet(socket: &mut Socket) -> Option<Vec<u8>> {
    let length = socket.read_i32().await.ok()?;
    let length = usize::try_from(length).ok().filter(|&length| length <= STARTUP_PACKET_LIMIT)?.checked_sub(4)?;
    let mut packet = vec![0; length];
    socket.read_exact(&mut packet).await.ok()?;
    Some(packet)
}

fn startup(version: i32, mut body: Body<'_>) -> Result<Startup, SqlError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(SqlError::unsupported(message));
    }
    let spoken = if minor >= 2 { VERSION_3_2 } else { VERSION_3_0 };
    let (mut user, mut database) = (None, None);
    let (mut settings, mut unknown_options) = (Vec::new(), Vec::new());
    while let Some(name) = Some(body.text()?).filter(|name| !name.is_empty()) {
        let value = body.text()?;
        match name {
            "user" => user = Some(value.to_owned()),
            "database" => database = Some(value.to_owned()),
            "replication" if value != "false" && value != "off" && value != "0" => {
                return Err(SqlError::unsupported("replication connections are not supported"));
            }
            "replication" => {}
            _ if name.starts_with("_pq_.") => unknown_options.push(name.to_owned()),
            _ => settings.push((name.to_owned(), value.to_owned())),
        }
    }
    if !body.0.is_empty() {
        return Err(violation("invalid startup packet layout: expected terminator as last byte"));
    }
    let Some(user) = user.filter(|user| !user.is_empty()) else {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    };
    let database = database.filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
    let negotiate = spoken != version || !unknown_options.is_empty();
    Ok(Startup { version: spoken, negotiate, unknown_options, user, database, settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minor: i32, body: &[u8]) -> String {
        match startup((3 << 16) + minor, Body(body)) {
            Ok(s) => format!(
                "{}@{} {:?} 3.{} {} {:?}",
                s.user,
                s.database,
                s.settings,
                s.version & 15,
                s.negotiate,
                s.unknown_options
            ),
            Err(error) => format!("{} {}", error.code(), error.message()),
        }
    }

    #[test]
    fn startup_packets_are_read() {
        assert_eq!(check(0, b"user\0a\0\0"), "a@a [] 3.0 false []");
        assert_eq!(check(2, b"user\0a\0database\0d\0x\0y\0\0"), "a@d [(\"x\", \"y\")] 3.2 false []");
        assert_eq!(check(9, b"user\0a\0_pq_.z\0y\0\0"), "a@a [] 3.2 true [\"_pq_.z\"]");
        assert_eq!(check(1, b"user\0a\0\0"), "a@a [] 3.0 true []");
        assert_eq!(check(0, b"\0"), "28000 no PostgreSQL user name specified in startup packet");
        assert_eq!(check(0, b"user\0a\0"), "08P01 invalid string in message");
        assert_eq!(check(0, b"user\0a\0\0x"), "08P01 invalid startup packet layout: expected terminator as last byte");
        assert!(check(-(1 << 16), b"\0").starts_with("0A000 unsupported frontend protocol 2"));
    }
}
