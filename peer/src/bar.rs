//! The bar of `peer send --file`: one row on a terminal's standard error, written over again and again, and gone at the end.
//! Nothing depends on it.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde_json::Value;

use crate::config::Settings;
use crate::front::safe_text::SafeText;
use crate::front::words;
use crate::terminal;

/// Columns of a name that is shown.
const NAME_MAX: usize = 32;
/// Columns of the bar itself.
const CELLS: u64 = 20;

/// The bar, or none where nobody would see it.
#[derive(Debug)]
pub struct Bar {
    /// The name of the file; none: nothing is shown.
    name: Option<SafeText>,
}

impl Bar {
    /// For the file at `path`, where one is sent and a person looks on.
    #[must_use]
    pub fn new(settings: &Settings, path: Option<&str>) -> Self {
        let seen = !settings.json && !settings.quiet && io::stderr().is_terminal();
        let name = path.filter(|_| seen).map(|path| {
            let name = Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy());
            SafeText::line(&name).cut(NAME_MAX)
        });
        Self { name }
    }

    /// Nothing is known yet.
    pub fn begin(&self) {
        if let Some(name) = &self.name {
            write(&format!("{name}  is read"));
        }
    }

    /// Something is told of the file, or of the message that offers it.
    pub fn see(&self, value: &Value) {
        if let Some(words) = self.name.as_ref().and_then(|name| row(name, value)) {
            write(&words);
        }
    }

    /// It goes, and what is printed next begins at the edge.
    pub fn end(&self) {
        if self.name.is_some() {
            write("");
            put("\r");
        }
    }
}

/// What the bar shows; none: as before.
fn row(name: &SafeText, value: &Value) -> Option<String> {
    if value["event"] != "file" {
        return None;
    }
    let number = |key: &str| value[key].as_u64();
    let (size, to) = (number("size")?, value["to"].as_str()?);
    let state = value["state"].as_str()?;
    if state != "progress" {
        let kept = if value["kept"] == true { ", kept at the directory" } else { "" };
        return Some(format!("{name}  {}  to {to}: {state}{kept}", words::size(size)));
    }
    let bytes = number("bytes")?;
    let full = words::percent(bytes, size) * CELLS / 100;
    let cells: String = (0..CELLS).map(|cell| if cell < full { '#' } else { '-' }).collect();
    let via = value["via"].as_str().map_or_else(String::new, |via| format!(", {via}"));
    Some(format!("{name}  [{cells}]  {}{via}", words::flow(bytes, size, number("rate"))))
}

/// Writes over what stands in the row.
fn write(words: &str) {
    let columns = terminal::error_columns().unwrap_or(0).saturating_sub(1);
    let words = SafeText::line(words).cut(columns);
    let rest = columns.saturating_sub(words.width());
    put(&format!("\r{words}{:rest$}", ""));
}

fn put(text: &str) {
    let mut out = io::stderr().lock();
    // A terminal that has gone shows nothing.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row_of(more: &Value) -> Option<String> {
        let mut value = json!({"event": "file", "size": 2048, "bytes": 0, "to": "bob", "kept": false});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row(&SafeText::line("a.txt"), &value)
    }

    #[test]
    fn what_flows_has_a_bar_and_the_rest_has_words() {
        assert_eq!(row_of(&json!({"state": "offered"})).unwrap(), "a.txt  2.0 KiB  to bob: offered");
        assert_eq!(
            row_of(&json!({"state": "offered", "kept": true})).unwrap(),
            "a.txt  2.0 KiB  to bob: offered, kept at the directory"
        );
        let flows = row_of(&json!({"state": "progress", "bytes": 1024, "rate": 512, "via": "direct"})).unwrap();
        assert_eq!(flows, "a.txt  [##########----------]  50 %, 1.0 KiB of 2.0 KiB, 512 bytes/s, 2 s left, direct");
        assert_eq!(row_of(&json!({"event": "state", "state": "queued"})), None);
        assert_eq!(row_of(&json!({"state": "progress", "bytes": "x"})), None);
    }
}
