//! `jsonb_pretty`: one member or element a line, four blanks a level.

use super::binary::VALUE_WORK;
use super::{DEPTH_MAX, JsonbRef, Kind};
use crate::stop;

impl JsonbRef<'_> {
    /// Appends the indented text form, as far as the statement is wanted.
    pub fn write_pretty(self, out: &mut Vec<u8>) {
        self.write_indented(0, out);
    }

    fn write_indented(self, level: usize, out: &mut Vec<u8>) {
        if level > DEPTH_MAX {
            return out.extend_from_slice(b"null");
        }
        match self.kind() {
            _ if stop::cut_short(VALUE_WORK) => {}
            Kind::Array => {
                out.push(b'[');
                for (index, element) in self.elements().enumerate() {
                    begin_line(index > 0, level + 1, out);
                    element.write_indented(level + 1, out);
                }
                begin_line(false, level, out);
                out.push(b']');
            }
            Kind::Object => {
                out.push(b'{');
                for (index, (key, value)) in self.members().enumerate() {
                    begin_line(index > 0, level + 1, out);
                    super::text::write_string(key, out);
                    out.extend_from_slice(b": ");
                    value.write_indented(level + 1, out);
                }
                begin_line(false, level, out);
                out.push(b'}');
            }
            _ => self.write_scalar(out),
        }
    }
}

fn begin_line(has_comma: bool, level: usize, out: &mut Vec<u8>) {
    if has_comma {
        out.push(b',');
    }
    out.push(b'\n');
    out.resize(out.len() + level * 4, b' ');
}
