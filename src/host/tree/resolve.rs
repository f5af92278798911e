//! Follows symlinks as the kernel would, one component at a time.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::path::HostPath;

use super::{Kind, Node, Resolved, Tree, Unreadable};

/// How many symlinks one path may go through: the kernel's own limit (`MAXSYMLINKS`, path_resolution(7)).
const LINKS_MAX: usize = 40;

impl Tree {
    /// Follows every symlink of `path`, as the kernel would.
    ///
    /// # Errors
    /// When a directory on the way cannot be examined, or there are more than 40 symlinks.
    pub fn resolve(&self, path: &HostPath) -> Result<Resolved, Unreadable> {
        let Some((parent, name)) = path.parent().zip(path.name()) else {
            return self.walk(PathBuf::from("/"), Vec::new(), Vec::new());
        };
        let start = self.resolve_directory(&parent)?;
        if let Ok(place) = start.path.join(name) {
            // Most paths that a launch asks about do not exist, or are no links: they need no walk. Where no directory is,
            // nothing is in it.
            let node = match &start.node {
                Some(Node {
                    kind: Kind::Directory, ..
                }) => self.node(place.as_path())?,
                _ => None,
            };
            if !matches!(
                node,
                Some(Node {
                    kind: Kind::Link(_),
                    ..
                })
            ) {
                return Ok(Resolved {
                    path: place,
                    through: start.through.clone(),
                    node,
                });
            }
        }
        self.walk(
            start.path.as_path().to_path_buf(),
            vec![name.to_os_string()],
            start.through.clone(),
        )
    }

    /// The same for a directory that is asked about again and again.
    pub(super) fn resolve_directory(&self, path: &HostPath) -> Result<Rc<Resolved>, Unreadable> {
        if let Some(known) = self.resolved.borrow().get(path.as_os_str()) {
            return Ok(Rc::clone(known));
        }
        let resolved = Rc::new(self.resolve(path)?);
        self.resolved
            .borrow_mut()
            .insert(path.as_os_str().to_os_string(), Rc::clone(&resolved));
        Ok(resolved)
    }

    /// Goes from `done`, which is canonical, through the names of `todo`, the next one last.
    fn walk(
        &self,
        mut done: PathBuf,
        mut todo: Vec<OsString>,
        mut through: Vec<HostPath>,
    ) -> Result<Resolved, Unreadable> {
        let mut node = self.node(&done)?;
        while let Some(name) = todo.pop() {
            if name == ".." {
                done.pop();
                node = self.node(&done)?;
                continue;
            }
            let next = done.join(&name);
            node = match &node {
                Some(Node {
                    kind: Kind::Directory, ..
                }) => self.node(&next)?,
                _ => None,
            };
            if let Some(Node {
                kind: Kind::Link(target),
                ..
            }) = &node
            {
                if through.len() >= LINKS_MAX {
                    return Err(Unreadable {
                        path: next,
                        why: "too many levels of symbolic links".into(),
                    });
                }
                through.push(clean(&next)?);
                if target.has_root() {
                    done = PathBuf::from("/");
                }
                todo.extend(components_reversed(target));
                node = self.node(&done)?;
            } else {
                done = next;
            }
        }
        Ok(Resolved {
            path: clean(&done)?,
            through,
            node,
        })
    }
}

fn clean(path: &Path) -> Result<HostPath, Unreadable> {
    HostPath::new(path).map_err(|why| Unreadable {
        path: path.to_path_buf(),
        why: why.to_string(),
    })
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect();
    names.reverse();
    names
}
