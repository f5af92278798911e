//! The facts about what of the project the host's git would run or obey, asked for by what the sandbox may write to.

use crate::path::HostPath;

use super::{Host, git};

impl Host {
    /// Git directories of the project that lie outside it.
    #[must_use]
    pub fn outside_git_dirs(&self) -> Vec<HostPath> {
        let mut outside: Vec<HostPath> = Vec::new();
        let confirmed = self
            .repository
            .iter()
            .filter(|repository| repository.unconfirmed().is_none());
        for directory in confirmed.flat_map(|repository| [&repository.common_dir, &repository.git_dir]) {
            if !directory.within(&self.project) && !outside.iter().any(|known| directory.within(known)) {
                outside.push(directory.clone());
            }
        }
        outside
    }

    /// What of the project's repository the host's git would run or obey: in its work tree and in its git directory.
    ///
    /// # Errors
    /// When a part of it cannot be protected: see [`git::surface`].
    pub fn project_surface(&self) -> Result<git::Surface, git::Forged> {
        match &self.repository {
            Some(repository) => git::surface(&self.tree, repository, &self.git_config),
            None => self.folder_surface(&self.project),
        }
    }

    /// The same of another directory that the sandbox may write to.
    ///
    /// # Errors
    /// As [`Self::project_surface`], or when the repository around it contradicts itself.
    pub fn other_surface(&self, directory: &HostPath) -> Result<git::Surface, git::Forged> {
        let around = git::discover(&self.tree, directory, &self.home, self.uid)?;
        let shown = |part: &HostPath| part.within(directory);
        match around.filter(|found| shown(&found.work_tree) || shown(&found.git_dir) || shown(&found.common_dir)) {
            Some(repository) => git::surface(&self.tree, &repository, &self.git_config),
            None => self.folder_surface(directory),
        }
    }

    fn folder_surface(&self, directory: &HostPath) -> Result<git::Surface, git::Forged> {
        git::surface_of_folder(&self.tree, directory, &self.home, self.uid, &self.git_config)
    }
}
