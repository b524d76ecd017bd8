//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync, pipelined as the client likes.
//!
//! After an error everything is skipped until Sync. Answers are buffered until Sync, Flush, or a full buffer.

use crate::backend::Outcome;
use crate::connection::{Connection, Step, attend, survive_now};
use crate::decode::{Message, Target};
use types::SqlError;
use types::oid::Oid;

/// Bytes of a text that is parsed with others waiting: about a millisecond's work.
const LONG_TEXT: usize = 16 << 10;

impl Connection {
    pub(crate) async fn extended(&mut self, message: Message<'_>) -> Step {
        match message {
            Message::Sync => return self.sync().await,
            Message::Flush => return self.flush().await,
            _ => {}
        }
        self.in_batch = true;
        let result = match message {
            Message::Execute { portal, max_rows } => match self.execute(portal, max_rows).await {
                Some(result) => result,
                None => return Step::End,
            },
            Message::Parse { name, text, types } if text.len() > LONG_TEXT => {
                self.prepare_long(name, text, &types).await
            }
            message => self.prepare(message),
        };
        match result {
            Ok(()) if !self.output.is_full() => Step::Next,
            Ok(()) => match self.output.flow().await {
                Ok(()) => Step::Next,
                Err(_) => Step::End,
            },
            Err(error) => self.extended_error(error),
        }
    }

    /// Sends an error and skips to Sync.
    pub(crate) fn extended_error(&mut self, error: SqlError) -> Step {
        self.in_batch = true;
        self.skipping = true;
        self.fail(error)
    }

    /// Everything that makes or looks at statements and portals, but for long texts. None of it waits.
    fn prepare(&mut self, message: Message<'_>) -> Result<(), SqlError> {
        let (backend, output) = (self.backend.as_mut(), &mut self.output);
        survive_now(|| {
            match message {
                Message::Parse { name, text, types } => {
                    backend.parse(name, text, &types)?;
                    output.signal(b'1');
                }
                Message::Bind(bind) => {
                    backend.bind(bind)?;
                    output.signal(b'2');
                }
                Message::Describe(Target::Statement(name)) => backend.describe_statement(name, output)?,
                Message::Describe(Target::Portal(name)) => backend.describe_portal(name, output)?,
                Message::Close(target) => {
                    match target {
                        Target::Statement(name) => backend.close_statement(name),
                        Target::Portal(name) => backend.close_portal(name),
                    }
                    output.signal(b'3');
                }
                other => return Err(SqlError::internal(format!("not an extended-protocol message: {other:?}"))),
            }
            Ok(())
        })
    }

    async fn prepare_long(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<(), SqlError> {
        let (reader, phase, cancel, backend, output) = self.parts();
        attend(reader, phase, cancel, backend.parse_long(name, text, types)).await?;
        output.signal(b'1');
        Ok(())
    }

    /// None: the client is gone.
    async fn execute(&mut self, portal: &str, max_rows: u32) -> Option<Result<(), SqlError>> {
        let started = self.now();
        let (reader, phase, cancel, backend, output) = self.parts();
        let is_last = reader.next_tag() == Some(b'S');
        let mut result = attend(reader, phase, cancel, backend.execute(portal, max_rows, is_last, output)).await;
        self.took(started);
        while let Ok(Outcome::CopyIn) = result {
            result = self.copy_in().await?;
        }
        if let Ok(Outcome::Suspended) = result {
            self.output.signal(b's');
        }
        if result.is_ok() {
            self.report();
        }
        Some(result.map(|_| ()))
    }

    async fn sync(&mut self) -> Step {
        self.skipping = false;
        self.in_batch = false;
        if !self.backend.is_at_rest() {
            let (reader, phase, cancel, backend, _) = self.parts();
            if let Err(error) = attend(reader, phase, cancel, backend.sync()).await
                && let Step::End = self.fail(error)
            {
                return Step::End;
            }
        }
        self.ready().await
    }
}
