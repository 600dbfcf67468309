//! ModelNet10 and ModelNet40: shapes of furniture and other things as points, meshes or voxels.
//!
//! Wu et al., *3D ShapeNets: A Deep Representation for Volumetric Shapes* (2015), <https://modelnet.cs.princeton.edu/>: CAD
//! models collected from the web, for research use. ModelNet40 has 9,843 training and 2,468 test shapes of 40 classes,
//! ModelNet10 3,991 and 908 of 10, which are oriented alike. Three layouts are read:
//!
//! - `modelnet40_ply_hdf5_2048/`: 2,048 points of each shape in HDF5 files, by PointNet's authors, 9,840 training shapes
//!   ([`points`]);
//! - `ModelNet40/<class>/{train,test}/*.off`, `ModelNet10/…`: the authors' meshes, of which points are drawn by area;
//! - `modelnet10-voxels/{train,test}.bin`: solid voxels (`voxels`), as they are or the centres of surface voxels as points.
//!
//! All points are centred and scaled into the unit sphere. The archives have no published digest, so they are got by hand;
//! the HDF5 files' MD5, or the names and numbers of classes and shapes, are checked when a set is opened.

mod classes;
mod config;
mod digests;
mod find;
mod voxels;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use config::{ModelNetConfig, ModelNetForm};

use self::find::{Layout, Names};
use self::voxels::{Form, Grids};
use super::points::{self, folder, point_files};
use super::{Entry, Origin, Request};
use crate::{DataError, Dataset, DatasetInfo, OutputSpec, PublishedPart, Splits};

/// ModelNet10, for the registry.
pub const ENTRY_10: Entry = Entry {
    name: "modelnet10",
    title: "ModelNet10: 4,899 shapes of furniture as points, meshes or voxels, 10 classes",
    licence: "research use",
    origin: Origin::ByHand {
        find: |dirs| find::any(&MODELNET10, dirs),
        recipe: |dirs| find::recipe(&MODELNET10, dirs),
    },
    counts: Some(|request| counts(&MODELNET10, request)),
    describe: |request| describe(&MODELNET10, request),
    open: |request| open(&MODELNET10, request),
};

/// ModelNet40, for the registry.
pub const ENTRY_40: Entry = Entry {
    name: "modelnet40",
    title: "ModelNet40: 12,311 shapes as points, meshes or voxels, 40 classes",
    licence: "research use",
    origin: Origin::ByHand {
        find: |dirs| find::any(&MODELNET40, dirs),
        recipe: |dirs| find::recipe(&MODELNET40, dirs),
    },
    counts: Some(|request| counts(&MODELNET40, request)),
    describe: |request| describe(&MODELNET40, request),
    open: |request| open(&MODELNET40, request),
};

const MODELNET10: Names = Names {
    name: "modelnet10",
    point_files: None,
    meshes: "ModelNet10",
    voxels: "modelnet10-voxels",
    recipe: "  download ModelNet10.zip (meshes, about 450 MB) from\n    \
             http://3dvision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
    class: "bathtub",
};

const MODELNET40: Names = Names {
    name: "modelnet40",
    point_files: Some("modelnet40_ply_hdf5_2048"),
    meshes: "ModelNet40",
    voxels: "modelnet40-voxels",
    recipe: "  download modelnet40_ply_hdf5_2048.zip (points, about 435 MB) from\n    \
             https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip\n    \
             https://huggingface.co/datasets/Msun/modelnet40/resolve/main/modelnet40_ply_hdf5_2048.zip\n  \
             or ModelNet40.zip (meshes, about 2 GB) from\n    \
             http://modelnet.cs.princeton.edu/ModelNet40.zip",
    class: "airplane",
};

/// Shapes of the HDF5 files: training, test.
const POINT_FILE_SHAPES: [usize; 2] = [9_840, 2_468];

/// Shapes of ModelNet40's meshes: training, test.
const MESHES_40: [usize; 2] = [9_843, 2_468];

/// Shapes of the layout that is here; the empty ones among the voxels count, which are left out of training.
fn counts(names: &Names, request: &Request<'_>) -> Vec<PublishedPart> {
    let config = request.config;
    let form = config.modelnet.form;
    let found = find::find(names, config.path.as_deref(), request.dirs, form);
    let [train, test] = match found {
        Ok(Layout::PointFiles(_)) => POINT_FILE_SHAPES,
        _ if names.name == MODELNET10.name => {
            let part = |name, count: fn(&(&str, usize, usize)) -> usize| {
                let counts = classes::MODELNET10.iter().map(count).collect();
                PublishedPart::by_class(name, counts)
            };
            return vec![
                part("train", |class| class.1),
                part("test", |class| class.2),
            ];
        }
        _ => MESHES_40,
    };
    vec![
        PublishedPart::new("train", train),
        PublishedPart::new("test", test),
    ]
}

fn class_names(names: &Names) -> Vec<String> {
    if names.name == MODELNET10.name {
        return classes::MODELNET10
            .iter()
            .map(|(name, ..)| (*name).into())
            .collect();
    }
    classes::MODELNET40.map(String::from).to_vec()
}

/// What the examples look like; needs no file.
fn describe(names: &Names, request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    let count = folder::count(request)?;
    let classes = class_names(names);
    Ok(match request.config.modelnet.form {
        ModelNetForm::Points => points::info(names.name, count, &classes),
        ModelNetForm::Voxels => voxels::info(names.name, Form::Cells, &classes),
        ModelNetForm::VoxelPoints => {
            let seed = request.seed;
            voxels::info(names.name, Form::Points { count, seed }, &classes)
        }
    })
}

fn open(names: &Names, request: &Request<'_>) -> Result<Splits, DataError> {
    let info = describe(names, request)?;
    let form = request.config.modelnet.form;
    match find::find(names, request.config.path.as_deref(), request.dirs, form)? {
        Layout::PointFiles(folder) => {
            digests::check(&folder, request.progress)?;
            open_points(&folder, &info, POINT_FILE_SHAPES, request)
        }
        Layout::Meshes(folder) => meshes(&folder, names, &info, request),
        Layout::Voxels(folder) => open_voxels(&folder, names, &info, request),
    }
}

fn open_points(
    folder: &Path,
    info: &DatasetInfo,
    shapes: [usize; 2],
    request: &Request<'_>,
) -> Result<Splits, DataError> {
    let found = OutputSpec::named(point_files::class_names(folder)?);
    if found != info.output {
        return Err(other_classes(folder, &found, info));
    }
    let read = |list: &str, shapes: usize| -> Result<Arc<dyn Dataset>, DataError> {
        let count = request.config.points.count;
        let clouds = point_files::read(folder, list, info, count, request.progress)?;
        if clouds.len() != shapes {
            return Err(DataError::CorruptFile {
                path: folder.join(list),
                offset: 0,
                reason: format!("the files hold {} shapes, expected {shapes}", clouds.len()),
            });
        }
        Ok(Arc::new(clouds))
    };
    let [train, test] = shapes;
    Ok(Splits {
        train: read(point_files::TRAIN, train)?,
        validation: None,
        test: read(point_files::TEST, test)?,
    })
}

fn meshes(
    root: &Path,
    names: &Names,
    info: &DatasetInfo,
    request: &Request<'_>,
) -> Result<Splits, DataError> {
    let found = folder::describe(names.name, root, request)?;
    if found.output != info.output {
        return Err(other_classes(root, &found.output, info));
    }
    folder::open(names.name, root, request)
}

/// The error for folders or names that are not those of the classes, with the first one that differs.
fn other_classes(folder: &Path, found: &OutputSpec, info: &DatasetInfo) -> DataError {
    let width = info.output.width();
    let differs = |&class: &usize| found.class_name(class) != info.output.class_name(class);
    let class = (0..width).find(differs).unwrap_or(width);
    DataError::Config {
        field: "data.path".into(),
        reason: format!(
            "{}: these are not the {width} classes of {}: class {class} is `{}`, expected `{}`",
            folder.display(),
            info.name,
            found.class_name(class),
            info.output.class_name(class),
        ),
    }
}

fn open_voxels(
    folder: &Path,
    names: &Names,
    info: &DatasetInfo,
    request: &Request<'_>,
) -> Result<Splits, DataError> {
    let form = match request.config.modelnet.form {
        ModelNetForm::VoxelPoints => Form::Points {
            count: request.config.points.count,
            seed: request.seed,
        },
        _ => Form::Cells,
    };
    let published = names.name == MODELNET10.name;
    let read = |file: &str, test: bool| -> Result<Arc<dyn Dataset>, DataError> {
        let counts =
            classes::MODELNET10.map(|(_, train, tested)| [train, tested][usize::from(test)]);
        let counts = published.then_some(&counts[..]);
        let path: PathBuf = folder.join(file);
        Ok(Arc::new(Grids::read(
            &path,
            info.clone(),
            form,
            counts,
            test,
        )?))
    };
    Ok(Splits {
        train: read("train.bin", false)?,
        validation: None,
        test: read("test.bin", true)?,
    })
}

/// Checks the bytes of a voxel file of ModelNet10: its length and labels; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptFile`] with the byte.
pub fn check_voxels(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    voxels::check(path, bytes, classes::MODELNET10.len(), None)
}

#[cfg(test)]
mod tests;
