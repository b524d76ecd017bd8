//! A client that sends what it likes: protocol messages by hand over a blocking socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Raw(pub TcpStream);

/// A message: its tag and its body.
pub type Message = (char, Vec<u8>);

impl Raw {
    pub fn open(port: u16) -> Raw {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Raw(stream)
    }

    /// Logged in as postgres, up to the first ReadyForQuery.
    pub fn login(port: u16) -> Raw {
        let mut raw = Raw::open(port);
        raw.startup(196_608, &[("user", "postgres")]);
        let messages = raw.until('Z');
        assert_eq!(messages.first().map(|m| m.0), Some('R'), "{messages:?}");
        raw
    }

    pub fn startup(&mut self, version: i32, settings: &[(&str, &str)]) {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in settings {
            body.extend(text(name));
            body.extend(text(value));
        }
        body.push(0);
        let mut packet = ((body.len() + 4) as i32).to_be_bytes().to_vec();
        packet.extend(body);
        self.0.write_all(&packet).expect("sent");
    }

    pub fn send(&mut self, messages: &[(char, Vec<u8>)]) {
        let mut bytes = Vec::new();
        for (tag, body) in messages {
            bytes.push(*tag as u8);
            bytes.extend(((body.len() + 4) as i32).to_be_bytes());
            bytes.extend(body);
        }
        self.0.write_all(&bytes).expect("sent");
    }

    /// The next message; None if the server has closed the connection.
    pub fn next(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).ok()?;
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((head[0] as char, body))
    }

    /// All messages up to one with this tag.
    pub fn until(&mut self, tag: char) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            let is_last = message.0 == tag;
            messages.push(message);
            if is_last {
                break;
            }
        }
        messages
    }

    /// The same as a line: tags, errors with their SQLSTATE, the state in ReadyForQuery, tags of commands.
    pub fn line_until(&mut self, tag: char) -> String {
        self.until(tag).iter().map(show).collect::<Vec<_>>().join(" ")
    }
}

pub fn show((tag, body): &Message) -> String {
    match tag {
        'E' | 'N' => format!("{tag}:{}", field(body, 'C')),
        'Z' => format!("Z:{}", body.first().map_or('?', |b| *b as char)),
        'C' => format!("C:{}", String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body))),
        'D' => format!("D:{}", values(body).join(",")),
        _ => tag.to_string(),
    }
}

/// A field of an ErrorResponse.
pub fn field(body: &[u8], kind: char) -> String {
    let found = body.split(|b| *b == 0).find(|part| part.first() == Some(&(kind as u8)));
    found.map(|part| String::from_utf8_lossy(&part[1..]).into_owned()).unwrap_or_default()
}

/// A DataRow's values as text.
pub fn values(body: &[u8]) -> Vec<String> {
    let (mut at, mut values) = (2, Vec::new());
    while let Some(length) = body.get(at..at + 4) {
        let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
        at += 4;
        match usize::try_from(length) {
            Ok(length) => {
                values.push(String::from_utf8_lossy(&body[at..at + length]).into_owned());
                at += length;
            }
            Err(_) => values.push("NULL".to_owned()),
        }
    }
    values
}

pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

pub fn query(sql: &str) -> Message {
    ('Q', text(sql))
}

pub fn parse(name: &str, sql: &str) -> Message {
    ('P', [text(name), text(sql), vec![0, 0]].concat())
}

/// Binds text values; all results as text.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Message {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        body.extend((value.len() as i32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    ('B', body)
}

pub fn describe(kind: char, name: &str) -> Message {
    ('D', [vec![kind as u8], text(name)].concat())
}

pub fn execute(portal: &str, max_rows: i32) -> Message {
    ('E', [text(portal), max_rows.to_be_bytes().to_vec()].concat())
}

pub fn close(kind: char, name: &str) -> Message {
    ('C', [vec![kind as u8], text(name)].concat())
}

pub fn sync() -> Message {
    ('S', Vec::new())
}
