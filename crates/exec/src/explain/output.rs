//! The written forms of a shown plan: text, and the documents json and yaml.

use super::{Explain, Shown, Value};
use crate::run::NodeMeasure;
use std::fmt::Write;
use std::time::Duration;

pub(super) fn text(root: &Shown, explain: &Explain<'_>) -> Vec<String> {
    let mut lines = vec![];
    node_text(root, explain, 0, &mut lines);
    if explain.options.settings && !explain.settings.is_empty() {
        let settings: Vec<String> = explain.settings.iter().map(|(n, v)| format!("{n} = '{v}'")).collect();
        lines.push(format!("Settings: {}", settings.join(", ")));
    }
    if explain.options.summary.unwrap_or(explain.options.analyze) {
        lines.push(format!("Planning Time: {} ms", millis(explain.planning)));
        if let Some(execution) = explain.execution {
            lines.push(format!("Execution Time: {} ms", millis(execution)));
        }
    }
    // A constant may hold a line break.
    lines.iter().flat_map(|line| line.split('\n')).map(str::to_owned).collect()
}

fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

fn node_text(node: &Shown, explain: &Explain<'_>, mut indent: usize, lines: &mut Vec<String>) {
    if let Some(name) = &node.plan_name {
        lines.push(format!("{}{name}", "  ".repeat(indent)));
        indent += 1;
    }
    let mut line = "  ".repeat(indent);
    if indent > 0 {
        line.push_str("->  ");
        indent += 2;
    }
    indent += 1;
    line.push_str(&node.heading);
    if let Some(e) = node.estimate.filter(|_| explain.options.costs) {
        let _ = write!(line, "  (cost={:.2}..{:.2} rows={:.0} width={})", e.startup, e.total, e.rows, e.width);
    }
    if explain.options.analyze {
        line.push_str(&measured(node.measure.as_ref(), explain.options.timing));
    }
    lines.push(line);
    for property in node.properties(explain.options).iter().filter_map(|l| l.text.as_ref()) {
        lines.push(format!("{}{property}", "  ".repeat(indent)));
    }
    node.children.iter().for_each(|child| node_text(child, explain, indent, lines));
}

/// Per loop, as PostgreSQL counts.
struct PerLoop {
    startup_ms: f64,
    total_ms: f64,
    rows: f64,
    loops: u64,
}

fn per_loop(measure: Option<&NodeMeasure>) -> Option<PerLoop> {
    let m = measure.filter(|m| m.loops > 0)?;
    let loops = m.loops as f64;
    Some(PerLoop {
        startup_ms: m.startup_ms / loops,
        total_ms: m.total_ms / loops,
        rows: m.rows as f64 / loops,
        loops: m.loops,
    })
}

fn measured(measure: Option<&NodeMeasure>, timing: bool) -> String {
    match per_loop(measure) {
        None => " (never executed)".to_owned(),
        Some(PerLoop { startup_ms, total_ms, rows, loops }) if timing => {
            format!(" (actual time={startup_ms:.3}..{total_ms:.3} rows={rows:.0} loops={loops})")
        }
        Some(PerLoop { rows, loops, .. }) => format!(" (actual rows={rows:.0} loops={loops})"),
    }
}

/// A json or yaml document in the making, laid out as PostgreSQL does.
#[derive(Default)]
struct Writer {
    is_yaml: bool,
    out: String,
    depth: usize,
    /// Of each open object or list: whether what comes next begins a line of its own.
    filled: Vec<bool>,
}

impl Writer {
    fn next(&mut self) {
        let filled = self.filled.last_mut().is_some_and(|filled| std::mem::replace(filled, true));
        if self.is_yaml && !filled {
            return;
        }
        if filled && !self.is_yaml {
            self.out.push(',');
        }
        if self.depth > 0 {
            self.line(0);
        }
    }
    fn line(&mut self, further: usize) {
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(self.depth + further));
    }
    fn label(&mut self, label: &str) {
        let _ = if self.is_yaml { write!(self.out, "{label}: ") } else { write!(self.out, "\"{label}\": ") };
    }
    fn open(&mut self, label: Option<&str>, bracket: char) {
        self.next();
        match label {
            Some(label) => self.label(label),
            None if self.is_yaml => self.out.push_str("- "),
            None => {}
        }
        if !self.is_yaml {
            self.out.push(bracket);
        }
        self.depth += 1;
        // An item of a yaml list begins on the line of its dash.
        self.filled.push(self.is_yaml && label.is_some());
    }
    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        self.filled.pop();
        if !self.is_yaml {
            self.line(0);
            self.out.push(bracket);
        }
    }
    fn raw(&mut self, label: &str, value: &str) {
        self.next();
        self.label(label);
        self.out.push_str(value);
    }
    fn value(&mut self, label: &str, value: &Value) {
        match value {
            Value::Text(text) => self.raw(label, &quoted(text)),
            Value::Integer(number) => self.raw(label, &number.to_string()),
            Value::List(items) if self.is_yaml => {
                self.raw(label, "");
                for item in items {
                    self.line(1);
                    let _ = write!(self.out, "- {}", quoted(item));
                }
            }
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                self.raw(label, &format!("[{}]", items.join(", ")));
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn json(root: &Shown, explain: &Explain<'_>) -> String {
    let mut writer = Writer::default();
    writer.open(None, '[');
    document(root, explain, &mut writer);
    writer.close(']');
    writer.out
}

pub(super) fn yaml(root: &Shown, explain: &Explain<'_>) -> String {
    let mut writer = Writer { is_yaml: true, ..Writer::default() };
    document(root, explain, &mut writer);
    writer.out
}

fn document(root: &Shown, explain: &Explain<'_>, writer: &mut Writer) {
    writer.open(None, '{');
    node_document(root, explain, Some("Plan"), writer);
    if explain.options.settings && !explain.settings.is_empty() {
        writer.open(Some("Settings"), '{');
        explain.settings.iter().for_each(|(n, v)| writer.value(n, &Value::Text(v.clone())));
        writer.close('}');
    }
    if explain.options.summary.unwrap_or(explain.options.analyze) {
        writer.raw("Planning Time", &millis(explain.planning));
    }
    if explain.options.analyze {
        writer.open(Some("Triggers"), '[');
        writer.close(']');
    }
    if let Some(execution) = explain.execution.filter(|_| explain.options.summary.unwrap_or(true)) {
        writer.raw("Execution Time", &millis(execution));
    }
    writer.close('}');
}

fn node_document(node: &Shown, explain: &Explain<'_>, label: Option<&str>, writer: &mut Writer) {
    writer.open(label, '{');
    node.kind.iter().for_each(|(label, value)| writer.value(label, value));
    if !node.relationship.is_empty() {
        writer.raw("Parent Relationship", &quoted(node.relationship));
    }
    if let Some(name) = &node.plan_name {
        writer.raw("Subplan Name", &quoted(name));
    }
    writer.raw("Parallel Aware", "false");
    writer.raw("Async Capable", "false");
    node.details.iter().for_each(|(label, value)| writer.value(label, value));
    if let Some(e) = node.estimate.filter(|_| explain.options.costs) {
        writer.raw("Startup Cost", &format!("{:.2}", e.startup));
        writer.raw("Total Cost", &format!("{:.2}", e.total));
        writer.raw("Plan Rows", &format!("{:.0}", e.rows));
        writer.raw("Plan Width", &e.width.to_string());
    }
    if explain.options.analyze {
        let m = per_loop(node.measure.as_ref());
        let m = m.unwrap_or(PerLoop { startup_ms: 0.0, total_ms: 0.0, rows: 0.0, loops: 0 });
        if explain.options.timing {
            writer.raw("Actual Startup Time", &format!("{:.3}", m.startup_ms));
            writer.raw("Actual Total Time", &format!("{:.3}", m.total_ms));
        }
        writer.raw("Actual Rows", &format!("{:.0}", m.rows));
        writer.raw("Actual Loops", &m.loops.to_string());
    }
    let properties = node.properties(explain.options);
    properties.iter().flat_map(|l| &l.json).for_each(|(label, value)| writer.value(label, value));
    if !node.children.is_empty() {
        writer.open(Some("Plans"), '[');
        node.children.iter().for_each(|child| node_document(child, explain, None, writer));
        writer.close(']');
    }
    writer.close('}');
}
