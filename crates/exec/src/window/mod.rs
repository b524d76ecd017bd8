//! Window functions over one partition: frames, the built-in functions, aggregates over frames.

mod call;
mod frame;
mod moving;

pub(crate) use call::Call;
pub(crate) use frame::{FrameSpec, Partition};
