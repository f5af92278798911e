//! The record beside an instance: whose state it is. Pure text; who reads and writes it is elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value, json};

use crate::host::volume::Volume;
use crate::path::HostPath;

/// The record's name in its instance.
pub const NAME: &str = "record.json";
/// The longest record that is read: a path of the kernel's longest, twice as hexadecimal digits, and the rest.
pub const LENGTH_MAX: u64 = 16 * 1024;

const SCHEMA: &str = "claudebox.instance/1";

/// Whose state an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The canonical root of the project.
    pub root: HostPath,
    /// The file system that held the root at the last start.
    pub volume: Volume,
    /// When the instance was made, in seconds since 1970.
    pub made: u64,
    /// When the last start was.
    pub used: u64,
}

impl Record {
    /// The record as it is written.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut mount = Map::new();
        put_path(&mut mount, "point", &self.volume.point);
        mount.insert("kind".into(), format!("{:x}", self.volume.kind).into());
        mount.insert("id".into(), format!("{:x}", self.volume.id).into());
        let device = self.volume.device;
        mount.insert(
            "device".into(),
            format!("{}:{}", device >> 32, device & 0xffff_ffff).into(),
        );
        let mut record = Map::new();
        record.insert("schema".into(), SCHEMA.into());
        put_path(&mut record, "root", &self.root);
        record.insert("mount".into(), mount.into());
        record.insert("made".into(), self.made.into());
        record.insert("used".into(), self.used.into());
        format!("{}\n", Value::Object(record)).into_bytes()
    }

    /// Reads what [`Record::text`] wrote.
    ///
    /// # Errors
    /// What is wrong with the text: completes a sentence that begins with the record's path.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(text).map_err(|_| "is no JSON")?;
        if value.get("schema") != Some(&json!(SCHEMA)) {
            return Err("is of another version of claudebox");
        }
        parts(&value).ok_or("lacks a part")
    }
}

fn parts(value: &Value) -> Option<Record> {
    let mount = value.get("mount")?;
    let number = |name: &str| u64::from_str_radix(mount.get(name)?.as_str()?, 16).ok();
    let (major, minor) = mount.get("device")?.as_str()?.split_once(':')?;
    Some(Record {
        root: get_path(value, "root")?,
        volume: Volume {
            point: get_path(mount, "point")?,
            kind: number("kind")?,
            id: number("id")?,
            device: u64::from(major.parse::<u32>().ok()?) << 32 | u64::from(minor.parse::<u32>().ok()?),
        },
        made: value.get("made")?.as_u64()?,
        used: value.get("used")?.as_u64()?,
    })
}

/// A path as text where it is UTF-8, else byte for byte as hexadecimal digits under `NAME_hex`.
pub fn put_path(object: &mut Map<String, Value>, name: &str, path: &HostPath) {
    match path.as_os_str().to_str() {
        Some(text) => object.insert(name.into(), text.into()),
        None => {
            let digits: String = path
                .as_os_str()
                .as_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            object.insert(format!("{name}_hex"), digits.into())
        }
    };
}

fn get_path(value: &Value, name: &str) -> Option<HostPath> {
    if let Some(text) = value.get(name) {
        return HostPath::new(text.as_str()?).ok();
    }
    let digits = value.get(format!("{name}_hex"))?.as_str()?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    HostPath::new(OsStr::from_bytes(&bytes?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(root: &[u8]) -> Record {
        Record {
            root: HostPath::new(OsStr::from_bytes(root)).unwrap(),
            volume: Volume {
                point: HostPath::root(),
                kind: 0xef53,
                id: u64::MAX,
                device: 8 << 32 | 17,
            },
            made: 1,
            used: 2,
        }
    }

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        for root in [&b"/x/a-b"[..], b"/x/\xff\n\"", "/x/ü\u{202e}".as_bytes()] {
            let record = record(root);
            assert_eq!(Record::parse(&record.text()), Ok(record));
        }
    }

    #[test]
    fn the_text_of_a_record() {
        let text = String::from_utf8(record(b"/x/a").text()).unwrap();
        assert_eq!(
            text,
            "{\"made\":1,\"mount\":{\"device\":\"8:17\",\"id\":\"ffffffffffffffff\",\"kind\":\"ef53\",\"point\":\"/\"},\
             \"root\":\"/x/a\",\"schema\":\"claudebox.instance/1\",\"used\":2}\n"
        );
        assert!(
            String::from_utf8(record(b"/x/\xff").text())
                .unwrap()
                .contains("\"root_hex\":\"2f782fff\"")
        );
    }

    #[test]
    fn what_is_no_record_is_none() {
        for (text, why) in [
            (&b""[..], "is no JSON"),
            (b"{}", "is of another version of claudebox"),
            (
                b"{\"schema\":\"claudebox.instance/2\"}",
                "is of another version of claudebox",
            ),
            (b"{\"schema\":\"claudebox.instance/1\",\"root\":\"/x\"}", "lacks a part"),
            (b"{\"schema\":\"claudebox.instance/1\",\"root\":\"x\"}", "lacks a part"),
        ] {
            assert_eq!(Record::parse(text), Err(why));
        }
    }
}
