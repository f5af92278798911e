//! Which file system holds a path, and whether a path that is absent is gone or only out of sight: a drive that is not
//! plugged in takes its projects with it, and brings them back.

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxAttributes, StatxFlags, statfs, statvfs, statx};
use rustix::io::Errno;

use crate::path::HostPath;

use super::tree::plain;

/// What statfs(2) calls file systems that end with their mount: what lay on one that is gone is gone too.
const VOLATILE: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A mounted file system, as it is recognised later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Where it is mounted.
    pub point: HostPath,
    /// What kind of file system it is: the number of statfs(2).
    pub kind: u64,
    /// The file system's own id, where it has one; it outlives a restart, which numbers of devices do not.
    pub id: u64,
    /// The number of its device.
    pub device: u64,
}

/// What became of a project's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// It is there.
    There,
    /// It is gone, and the file system that held it is there.
    Gone,
    /// Nobody can tell: why.
    Doubt(String),
}

impl Volume {
    /// The file system that holds a directory, which is canonical, or the nearest one above it that exists.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn holding(directory: &HostPath) -> Result<Self, String> {
        let mut point = directory.clone();
        let status = loop {
            let status = look(&point, AtFlags::SYMLINK_NOFOLLOW);
            let at_root = match &status {
                Ok(status) => status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
                // A main work tree that is gone while one of its worktrees is in use.
                Err(Errno::NOENT) => false,
                Err(_) => true,
            };
            match point.parent() {
                Some(parent) if !at_root => point = parent,
                _ => break status.map_err(|error| unexamined(&point, error))?,
            }
        };
        let kind = statfs(point.as_path())
            .map_err(|error| unexamined(&point, error))?
            .f_type;
        let id = statvfs(point.as_path())
            .map_err(|error| unexamined(&point, error))?
            .f_fsid;
        Ok(Self {
            // The type of the field differs between architectures; the numbers are 32 bits wide.
            kind: u64::try_from(kind).unwrap_or_default() & 0xffff_ffff,
            id,
            device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
            point,
        })
    }

    /// Whether this is the file system that was recorded, by its own id where it has one.
    fn is(&self, recorded: &Self) -> bool {
        self.kind == recorded.kind
            && (VOLATILE.contains(&self.kind)
                || if recorded.id == 0 {
                    self.device == recorded.device
                } else {
                    self.id == recorded.id
                })
    }
}

/// Looks for a root that was recorded together with its file system. Gone is only what is absent from that very file
/// system, mounted where it was, with nothing else mounted between it and the root.
#[must_use]
pub fn look_for(root: &HostPath, recorded: &Volume) -> Root {
    match look(root, AtFlags::empty()) {
        Ok(_) => return Root::There,
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => return Root::Doubt(unexamined(root, error)),
    }
    let nearest = match nearest(root) {
        Ok(nearest) => nearest,
        Err(why) => return Root::Doubt(why),
    };
    let Volume { point, .. } = recorded;
    match Volume::holding(&nearest) {
        Err(why) => Root::Doubt(why),
        Ok(now) if now.point == *point && now.is(recorded) => Root::Gone,
        Ok(now) if now.point == *point => Root::Doubt(format!("another file system is mounted on `{point}`")),
        Ok(now) if now.point.within(point) => Root::Doubt(format!(
            "another file system is mounted on `{}`, over its place",
            now.point
        )),
        Ok(_) => Root::Doubt(format!("its file system is not mounted on `{point}`")),
    }
}

/// The nearest directory above a path that does not exist.
fn nearest(path: &HostPath) -> Result<HostPath, String> {
    for place in path.ancestors() {
        match look(&place, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(unexamined(&place, error)),
            Ok(status) => {
                return match FileType::from_raw_mode(status.stx_mode.into()) {
                    FileType::Directory => Ok(place),
                    FileType::Symlink => Err(format!("`{place}` is a link that leads nowhere")),
                    _ => Err(format!("`{place}` is no directory any more")),
                };
            }
        }
    }
    Err("the root directory cannot be looked at".into())
}

fn look(path: &HostPath, flags: AtFlags) -> Result<Statx, Errno> {
    statx(CWD, path.as_path(), flags, StatxFlags::TYPE)
}

fn unexamined(path: &HostPath, error: Errno) -> String {
    format!("cannot look at `{path}`: {}", plain(&error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_directory_is_a_volume_that_is_itself() {
        let volume = Volume::holding(&HostPath::root()).unwrap();
        assert_eq!(volume.point, HostPath::root());
        assert!(volume.is(&volume));
    }

    #[test]
    fn another_kind_or_id_is_another_file_system() {
        let volume = Volume {
            point: HostPath::root(),
            kind: 0xef53,
            id: 7,
            device: 1,
        };
        let table = [
            (volume.clone(), true),
            (
                Volume {
                    device: 2,
                    ..volume.clone()
                },
                true,
            ),
            (
                Volume {
                    id: 8,
                    ..volume.clone()
                },
                false,
            ),
            (
                Volume {
                    kind: 1,
                    ..volume.clone()
                },
                false,
            ),
        ];
        for (other, same) in table {
            assert_eq!(other.is(&volume), same, "{other:?}");
        }
        let nameless = Volume { id: 0, ..volume };
        assert!(
            !Volume {
                device: 2,
                ..nameless.clone()
            }
            .is(&nameless)
        );
        let memory = Volume {
            kind: VOLATILE[0],
            ..nameless
        };
        assert!(
            Volume {
                id: 9,
                device: 2,
                ..memory.clone()
            }
            .is(&memory)
        );
    }
}
