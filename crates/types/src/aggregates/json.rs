//! `json_agg`, `json_object_agg` and their jsonb twins.

use super::Accumulator;
use crate::json::{build, text};
use crate::{CallContext, Datum, Result, SqlError, SqlState, SqlType};
use ecow::EcoString;

fn arg_type(context: &CallContext<'_>, index: usize) -> SqlType {
    context.arg_types.get(index).copied().unwrap_or(SqlType::TEXT)
}

fn null_key() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null")
}

/// `json_agg`: text that grows, with PostgreSQL's white space (a new line before each array or row but the first).
#[derive(Default)]
pub struct JsonArray {
    text: Vec<u8>,
}

impl Accumulator for JsonArray {
    fn update(&mut self, context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if self.text.is_empty() {
            self.text.push(b'[');
        } else {
            self.text.extend_from_slice(b", ");
            if matches!(args[0], Datum::Array(_) | Datum::Record(_)) {
                self.text.extend_from_slice(b"\n ");
            }
        }
        build::write(arg_type(context, 0), &args[0], false, context.format, &mut self.text)
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        finish_text(&self.text, "]")
    }
    fn size_bytes(&self) -> usize {
        64 + self.text.capacity()
    }
}

/// `json_object_agg`: keys may come twice.
#[derive(Default)]
pub struct JsonObject {
    text: Vec<u8>,
}

impl Accumulator for JsonObject {
    fn update(&mut self, context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            return Err(null_key());
        }
        let key = build::key_text(arg_type(context, 0), &args[0], context.format)?;
        self.text.extend_from_slice(if self.text.is_empty() { b"{ " } else { b", " });
        text::write_string(&key, &mut self.text);
        self.text.extend_from_slice(b" : ");
        build::write(arg_type(context, 1), &args[1], false, context.format, &mut self.text)
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        finish_text(&self.text, " }")
    }
    fn size_bytes(&self) -> usize {
        64 + self.text.capacity()
    }
}

fn finish_text(text: &[u8], end: &str) -> Result<Datum> {
    if text.is_empty() {
        return Ok(Datum::Null);
    }
    let text = std::str::from_utf8(text).map_err(|_| SqlError::internal("json that is no text"))?;
    Ok(Datum::text(format!("{text}{end}")))
}

/// `jsonb_agg`: the values wait and are built in one pass at the end.
#[derive(Default)]
pub struct JsonbArray {
    values: Vec<Datum>,
    heap_size: usize,
}

impl Accumulator for JsonbArray {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        self.heap_size += args[0].heap_size();
        self.values.push(args[0].clone());
        Ok(())
    }
    fn finish(&mut self, context: &CallContext<'_>) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        let mut builder = crate::json::Builder::new();
        builder.begin_array();
        for value in &self.values {
            build::add(arg_type(context, 0), value, context.format, &mut builder)?;
        }
        builder.end()?;
        Ok(Datum::Jsonb(builder.finish()?))
    }
    fn size_bytes(&self) -> usize {
        64 + self.values.capacity() * size_of::<Datum>() + self.heap_size
    }
}

/// `jsonb_object_agg`: the last of equal keys wins.
#[derive(Default)]
pub struct JsonbObject {
    members: Vec<(EcoString, Datum)>,
    heap_size: usize,
}

impl Accumulator for JsonbObject {
    fn update(&mut self, context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            return Err(null_key());
        }
        let key = build::key_text(arg_type(context, 0), &args[0], context.format)?;
        self.heap_size += key.len() + args[1].heap_size();
        self.members.push((key, args[1].clone()));
        Ok(())
    }
    fn finish(&mut self, context: &CallContext<'_>) -> Result<Datum> {
        if self.members.is_empty() {
            return Ok(Datum::Null);
        }
        let mut builder = crate::json::Builder::new();
        builder.begin_object();
        for (key, value) in &self.members {
            builder.key(key);
            build::add(arg_type(context, 1), value, context.format, &mut builder)?;
        }
        builder.end()?;
        Ok(Datum::Jsonb(builder.finish()?))
    }
    fn size_bytes(&self) -> usize {
        64 + self.members.capacity() * size_of::<(EcoString, Datum)>() + self.heap_size
    }
}
