//! Metrics as a file with one JSON object a line: `{"event":"train","step":10,"loss":2.1,…}`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::sink::{Event, MetricsSink};
use crate::error::{Result, TrainError};

/// Appends events to a file, each on disk (as far as the operating system is concerned) before the next.
///
/// A number that is not finite becomes `null`. A run that is resumed writes `{"event":"resume","step":k}`;
/// lines before it with steps above `k` are from steps that were done again.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens or creates the file. A last line that a killed run left unfinished is closed.
    ///
    /// # Errors
    /// The file cannot be opened, read or written.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(TrainError::io("open", path))?;
        if file.metadata().map_err(TrainError::io("read", path))?.len() > 0 {
            let mut last = [0_u8];
            file.seek(SeekFrom::End(-1))
                .map_err(TrainError::io("read", path))?;
            file.read_exact(&mut last)
                .map_err(TrainError::io("read", path))?;
            if last != *b"\n" {
                file.write_all(b"\n")
                    .map_err(TrainError::io("write", path))?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }
}

impl MetricsSink for JsonLines {
    fn record(&mut self, event: &Event) -> Result<()> {
        let mut object = Map::new();
        object.insert("event".into(), event.kind.into());
        object.insert("step".into(), event.step.into());
        for (name, value) in &event.values {
            object.insert(name.clone(), (*value).into());
        }
        let line = format!("{}\n", Value::Object(object));
        // One write, so that a kill leaves at most one unfinished line, the last.
        self.file
            .write_all(line.as_bytes())
            .map_err(TrainError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: u64, loss: f64) -> Event {
        Event {
            kind: "train",
            step,
            values: vec![("loss".into(), loss)],
        }
    }

    #[test]
    fn lines_are_json_and_survive_an_unfinished_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        JsonLines::open(&path)
            .unwrap()
            .record(&event(1, 0.5))
            .unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"event\":\"tr").unwrap();
        JsonLines::open(&path)
            .unwrap()
            .record(&event(2, f64::NAN))
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"event":"train","step":1,"loss":0.5}"#);
        assert_eq!(lines[2], r#"{"event":"train","step":2,"loss":null}"#);
        assert!(text.ends_with('\n'));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let error = JsonLines {
            path: path.into(),
            file,
        }
        .record(&event(1, 0.5))
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("cannot write /dev/full: No space left"),
            "{error}"
        );
    }
}
