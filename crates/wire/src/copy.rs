//! COPY FROM STDIN: the client's data goes to the backend piece by piece, without a limit on the whole.

use crate::backend::Outcome;
use crate::connection::{Connection, attend};
use crate::decode::{self, Message};
use crate::limits::MESSAGE_LIMIT;
use crate::socket::Frame;
use types::{SqlError, SqlState};

impl Connection {
    /// From CopyInResponse to the end of the data. None: the client is gone. After an error what the client still
    /// sends of its data is dropped by the message loop.
    pub(crate) async fn copy_in(&mut self) -> Option<Result<Outcome, SqlError>> {
        self.report();
        self.output.flush().await.ok()?;
        loop {
            let (tag, body) = match self.next_copy_frame().await {
                Ok(Some(Frame::Message { tag, body })) => (tag, body),
                Ok(Some(Frame::TooLong { .. })) => {
                    let message = format!("message of more than {MESSAGE_LIMIT} bytes");
                    return Some(self.give_up(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)).await);
                }
                Ok(None) => {
                    self.backend.copy_fail("unexpected EOF on client connection").await;
                    return None;
                }
                Err(error) => return Some(self.give_up(error).await),
            };
            let message = match decode::message(tag, &body) {
                Ok(message) => message,
                Err(error) => return Some(self.give_up(error).await),
            };
            let (reader, phase, cancel, backend, output) = self.parts();
            let result = match message {
                Message::CopyData(data) => match attend(reader, phase, cancel, backend.copy_data(data)).await {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Message::CopyDone => attend(reader, phase, cancel, backend.copy_done(output)).await,
                Message::CopyFail(reason) => Err(backend.copy_fail(reason).await),
                // Sent by clients that pipeline without knowing that a COPY would start.
                Message::Flush | Message::Sync => continue,
                Message::Terminate => {
                    backend.copy_fail("unexpected EOF on client connection").await;
                    return None;
                }
                _ => {
                    let message = format!("unexpected message type 0x{tag:02X} during COPY from stdin");
                    return Some(self.give_up(decode::violation(message)).await);
                }
            };
            return Some(result);
        }
    }

    async fn give_up(&mut self, error: SqlError) -> Result<Outcome, SqlError> {
        self.backend.copy_fail(error.message()).await;
        Err(error)
    }
}
