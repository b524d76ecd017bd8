//! The socket's two sides: frames in, bytes out, with or without TLS.
//!
//! [`Reader`] grows its buffer as bytes arrive, never by the length a client announces; a frame over the limit is read
//! past and reported. All its futures may be dropped at any await: what was read stays in the buffer.

use crate::backend::Encryption;
use crate::decode;
use crate::limits::{FAREWELL_BYTES, FAREWELL_PAUSE, FAREWELL_TIME, LENGTH_MAX, READ_AHEAD};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use types::SqlError;

/// Room made for each read of a message that has begun.
const READ_STEP: usize = 8 << 10;
/// Room that a connection has while its client says nothing: there are many such.
const IDLE_ROOM: usize = 2 << 10;

/// A client's socket, in the clear or encrypted.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub fn split(self) -> (Reader, Writer) {
        match self {
            Socket::Plain(stream) => {
                let (read, write) = stream.into_split();
                (Reader::new(Box::new(read)), Writer(Box::new(write)))
            }
            Socket::Tls(stream) => {
                let (read, write) = tokio::io::split(*stream);
                (Reader::new(Box::new(read)), Writer(Box::new(write)))
            }
        }
    }

    pub fn encryption(&self) -> Option<Encryption> {
        let Socket::Tls(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        // `TLSv1_3`, `TLS13_AES_256_GCM_SHA384`: OpenSSL's spelling is what clients know.
        let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
        let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let bits = if cipher.contains("128") { 128 } else { 256 };
        Some(Encryption { version: version.replace('_', "."), cipher: cipher.replace("TLS13_", "TLS_"), bits })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

/// The side that writes.
pub(crate) struct Writer(Box<dyn AsyncWrite + Send + Sync + Unpin>);

impl Writer {
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Says goodbye (TLS close_notify, FIN); a client that is gone does not matter.
    pub async fn close(&mut self) {
        let _ = self.0.shutdown().await;
    }

    #[cfg(test)]
    pub fn nowhere() -> Writer {
        Writer(Box::new(tokio::io::sink()))
    }
}

/// A message as it came.
#[derive(Debug)]
pub(crate) enum Frame {
    Message {
        tag: u8,
        body: Bytes,
    },
    /// Longer than the limit; its body has been read past.
    TooLong {
        tag: u8,
    },
}

/// Why no frame came.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The socket failed: the client is gone, however it went.
    Socket,
    /// The stream can not be followed any further.
    Protocol(SqlError),
}

/// The side that reads.
pub(crate) struct Reader {
    source: Box<dyn AsyncRead + Send + Sync + Unpin>,
    buffer: BytesMut,
    /// Longest body.
    limit: usize,
    is_in: bool,
    /// A frame that is being read past: its tag and the bytes still to come.
    skipping: Option<(u8, usize)>,
    ended: bool,
}

impl Reader {
    fn new(source: Box<dyn AsyncRead + Send + Sync + Unpin>) -> Reader {
        let limit = crate::limits::STARTUP_LIMIT;
        Reader { source, buffer: BytesMut::new(), limit, is_in: false, skipping: None, ended: false }
    }

    /// The client is in: all messages are read, up to a larger limit.
    pub fn enter(&mut self, limit: usize) {
        (self.is_in, self.limit) = (true, limit);
    }

    /// What is refused as soon as it shows, because what follows it can not be followed.
    fn check(&self, tag: u8) -> Result<(), SqlError> {
        match (self.is_in, tag) {
            (false, b'p') => Ok(()),
            (false, _) => Err(decode::violation(format!("expected SASL response, got message type {tag}"))),
            (true, tag) if decode::is_known(tag) => Ok(()),
            (true, _) => Err(decode::violation(format!("invalid frontend message type {tag}"))),
        }
    }

    /// The tag of the next frame, if any of it is here.
    pub fn next_tag(&self) -> Option<u8> {
        if self.skipping.is_some() { None } else { self.buffer.first().copied() }
    }

    /// The next frame; None when the client has hung up.
    pub async fn frame(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.take().map_err(ReadError::Protocol)? {
                return Ok(Some(frame));
            }
            if self.fill().await.map_err(|_| ReadError::Socket)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads ahead while a statement runs, up to a bound, and returns when the client has hung up.
    pub async fn hung_up(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            match self.fill().await {
                Ok(0) | Err(_) => {
                    self.ended = true;
                    return;
                }
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        self.buffer.reserve(if self.buffer.is_empty() { IDLE_ROOM } else { READ_STEP });
        self.source.read_buf(&mut self.buffer).await
    }

    /// Behind the goodbye: reads past what the client is still sending. A socket that is closed with unread bytes is reset, and a
    /// client that fails in the middle of sending does not read what it was told last.
    pub async fn see_off(&mut self) {
        _ = host::clock::timeout(FAREWELL_TIME, self.read_past()).await;
    }

    async fn read_past(&mut self) {
        let mut seen = 0;
        while seen < FAREWELL_BYTES {
            self.buffer.clear();
            match host::clock::timeout(FAREWELL_PAUSE, self.fill()).await {
                Some(Ok(more)) if more > 0 => seen += more,
                _ => return,
            }
        }
    }

    /// A frame that is whole in the buffer.
    pub fn take(&mut self) -> Result<Option<Frame>, SqlError> {
        if let Some((tag, left)) = self.skipping {
            let here = left.min(self.buffer.len());
            self.buffer.advance(here);
            self.skipping = (here < left).then_some((tag, left - here));
            return Ok(self.skipping.is_none().then_some(Frame::TooLong { tag }));
        }
        if let Some(&tag) = self.buffer.first() {
            self.check(tag)?;
        }
        let Some((&[tag, a, b, c, d], _)) = self.buffer.split_first_chunk() else { return Ok(None) };
        let length = i32::from_be_bytes([a, b, c, d]);
        let Some(length) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
            return Err(decode::violation("invalid message length"));
        };
        if length > LENGTH_MAX || length > self.limit && !self.is_in {
            return Err(decode::violation("invalid message length"));
        }
        if length > self.limit {
            self.buffer.advance(5);
            self.skipping = Some((tag, length));
            return self.take();
        }
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        Ok(Some(Frame::Message { tag, body: self.buffer.split_to(length).freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_seen_off_may_end_what_it_sends_and_not_go_on_for_ever() {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let mut reader = Reader::new(Box::new(server));
        let sends = async move { client.write_all(&[b'x'; 300_000]).await.is_ok() };
        assert!(tokio::join!(sends, reader.see_off()).0, "all is taken");

        Reader::new(Box::new(tokio::io::repeat(b'x'))).see_off().await;

        let (mut client, server) = tokio::io::duplex(1 << 10);
        let mut reader = Reader::new(Box::new(server));
        let drips = async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(FAREWELL_PAUSE / 2).await;
            }
        };
        let ends = async move {
            reader.see_off().await;
            drop(reader);
        };
        tokio::join!(drips, ends);
    }

    fn frames(input: &'static [u8], limit: usize) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut reader = Reader::new(Box::new(input));
        reader.enter(limit);
        let mut seen = Vec::new();
        loop {
            match runtime.block_on(reader.frame()) {
                Ok(Some(Frame::Message { tag, body })) => seen.push(format!("{} {}", tag as char, body.len())),
                Ok(Some(Frame::TooLong { tag })) => seen.push(format!("{} too long", tag as char)),
                Ok(None) => return seen,
                Err(error) => {
                    seen.push(match error {
                        ReadError::Protocol(error) => error.message().to_owned(),
                        ReadError::Socket => "socket".to_owned(),
                    });
                    return seen;
                }
            }
        }
    }

    #[test]
    fn frames_are_cut_from_the_stream() {
        assert_eq!(frames(b"S\0\0\0\x04Q\0\0\0\x06a\0X\0\0", 100), ["S 0", "Q 2"]);
        assert_eq!(frames(b"Q\0\0\0\x09abcdeS\0\0\0\x04", 4), ["Q too long", "S 0"]);
        assert_eq!(frames(b"Q\0\0\0\x09abcde", 5), ["Q 5"]);
        assert_eq!(frames(b"S\0\0\0\x04Q\0\0\0\x03", 100), ["S 0", "invalid message length"]);
        assert_eq!(frames(b"Q\xff\xff\xff\xff", 100), ["invalid message length"]);
        assert_eq!(frames(b"Q\x7f\xff\xff\xff", 100), ["invalid message length"]);
        assert_eq!(frames(b"\0", 100), ["invalid frontend message type 0"]);
    }

    #[test]
    fn before_login_only_passwords_are_read() {
        let first = |input: &'static [u8]| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut reader = Reader::new(Box::new(input));
            match runtime.block_on(reader.frame()) {
                Err(ReadError::Protocol(error)) => error.message().to_owned(),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(first(b"p\x40\0\0\0x"), "invalid message length");
        assert_eq!(first(b"Q"), "expected SASL response, got message type 81");
    }
}
