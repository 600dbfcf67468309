//! Where the files of ModelNet are, and in which layout.

use std::path::{Path, PathBuf};

use super::config::ModelNetForm;
use crate::source::points::point_files::is_layout;
use crate::{DataDirs, DataError};

/// A folder in a known layout.
#[derive(Debug, PartialEq)]
pub(super) enum Layout {
    /// HDF5 files of points.
    PointFiles(PathBuf),
    /// `<class>/{train,test}/*.off`.
    Meshes(PathBuf),
    /// `train.bin` and `test.bin`.
    Voxels(PathBuf),
}

/// What the layouts of a data set are called.
pub(super) struct Names {
    /// Data set.
    pub(super) name: &'static str,
    /// Folder of HDF5 files, if they are published.
    pub(super) point_files: Option<&'static str>,
    /// Folder of meshes.
    pub(super) meshes: &'static str,
    /// Folder of voxels.
    pub(super) voxels: &'static str,
    /// How to get them.
    pub(super) recipe: &'static str,
    /// A class, to know the folder of meshes by.
    pub(super) class: &'static str,
}

/// The layout of a folder.
fn layout(folder: &Path, names: &Names) -> Option<Layout> {
    if is_layout(folder) {
        return Some(Layout::PointFiles(folder.into()));
    }
    if folder.join("train.bin").is_file() {
        return Some(Layout::Voxels(folder.into()));
    }
    let meshes = folder.join(names.class).join("train").is_dir();
    meshes.then(|| Layout::Meshes(folder.into()))
}

fn serves(layout: &Layout, form: ModelNetForm) -> bool {
    matches!(layout, Layout::Voxels(_)) == (form != ModelNetForm::Points)
}

/// The first folder that has the form: `path` itself, or in each of `dirs` the folders of the names and it itself.
pub(super) fn find(
    names: &Names,
    path: Option<&Path>,
    dirs: &DataDirs,
    form: ModelNetForm,
) -> Result<Layout, DataError> {
    let searched = match path {
        Some(path) => vec![path.to_path_buf()],
        None => dirs.search(),
    };
    let mut others = Vec::new();
    for layout in searched.iter().flat_map(|dir| candidates(dir, names)) {
        if serves(&layout, form) {
            return Ok(layout);
        }
        others.push(layout);
    }
    let hint = match others.first() {
        Some(Layout::Voxels(folder)) => format!(
            "{} has voxels: they are read with `form = \"voxels\"` or `\"voxel-points\"` in [data.modelnet].\n",
            folder.display()
        ),
        Some(Layout::PointFiles(folder) | Layout::Meshes(folder)) => format!(
            "{} has points or meshes: they are read with `form = \"points\"` in [data.modelnet].\n",
            folder.display()
        ),
        None => String::new(),
    };
    Err(DataError::NotFound {
        name: names.name.into(),
        searched,
        instructions: format!("{hint}{}", recipe(names, dirs)),
    })
}

/// Any layout that is there, for lists.
pub(super) fn any(names: &Names, dirs: &DataDirs) -> Option<PathBuf> {
    let search = dirs.search();
    let mut found = search.iter().flat_map(|dir| candidates(dir, names));
    found.next().map(|layout| match layout {
        Layout::PointFiles(folder) | Layout::Meshes(folder) | Layout::Voxels(folder) => folder,
    })
}

fn candidates(dir: &Path, names: &Names) -> impl Iterator<Item = Layout> {
    let folders = [names.point_files, Some(names.meshes), Some(names.voxels)];
    let folders = folders.into_iter().flatten().map(|name| dir.join(name));
    let folders: Vec<PathBuf> = folders.chain([dir.to_path_buf()]).collect();
    let found: Vec<Layout> = folders
        .iter()
        .filter_map(|folder| layout(folder, names))
        .collect();
    found.into_iter()
}

/// Instructions with the folders of this machine.
pub(super) fn recipe(names: &Names, dirs: &DataDirs) -> String {
    format!(
        "To get `{}` by hand:\n{}\n  unpack it in {}, or elsewhere and name that folder with --data-dir or {}.",
        names.name,
        names.recipe,
        dirs.download_dir().display(),
        crate::DATA_DIR_VARIABLE,
    )
}
