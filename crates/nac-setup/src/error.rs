//! Why libtorch could not be found, installed, or named in a project's configuration.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use nac_data::DataError;

use crate::kind::{Kind, VERSION};
use crate::progress::amount;

/// Why something could not be set up. Where there is a remedy, the message ends with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A file or folder could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A download or a checksum failed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A program could not be started.
    #[error("`{command}` could not be started")]
    Start {
        /// The command as one would type it.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The command as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// There is no usable C++ compiler.
    #[error("{found}. Fix: {fix}")]
    Compiler {
        /// What is there instead.
        found: String,
        /// What to do.
        fix: String,
    },
    /// A folder lacks a file that every libtorch has.
    #[error("{} is not libtorch: {} is missing", root.display(), file.display())]
    NotLibtorch {
        /// The folder.
        root: PathBuf,
        /// The missing file.
        file: PathBuf,
    },
    /// A libtorch does not say its version.
    #[error("the version of libtorch in {} is not known (no build-version file)", root.display())]
    UnknownVersion {
        /// The folder.
        root: PathBuf,
    },
    /// A libtorch of another version.
    #[error("{} is libtorch {found}, but exactly {VERSION} is needed", root.display())]
    Version {
        /// The folder.
        root: PathBuf,
        /// Its version.
        found: String,
    },
    /// A layout in the cache is the other build.
    #[error("{} is a {} build", root.display(), kind.label())]
    WrongKind {
        /// The folder.
        root: PathBuf,
        /// The build that is there.
        kind: Kind,
    },
    /// `LIBTORCH` is set to something that is not the libtorch needed.
    #[error("the variable LIBTORCH is unusable: {}. Fix: unset LIBTORCH", chain(.0.as_ref()))]
    Variable(Box<SetupError>),
    /// `LIBTORCH` is set to the build that was not asked for.
    #[error("LIBTORCH is a {} build of libtorch, which the option excludes. Fix: unset LIBTORCH", .0.label())]
    VariableKind(Kind),
    /// Nothing was set up so far.
    #[error("libtorch {VERSION} is not set up yet")]
    NotSetUp,
    /// A file of a layout in the cache has another size than when it was written.
    #[error("{} has {found} bytes, expected {expected}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// Its size when it was written.
        expected: u64,
    },
    /// A JSON text is not what was expected.
    #[error("{what}")]
    Json {
        /// The file or page.
        what: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// There are no published wheels for this machine.
    #[error(
        "no ready libtorch {VERSION} ({}) is known for {os} on {arch}.\n\
         Fix: python3 -m pip install torch=={VERSION}   and run this command again (it will be found),\n\
         or unpack libtorch {VERSION} yourself and set LIBTORCH to its folder.",
        kind.label()
    )]
    Unsupported {
        /// Operating system, as in `std::env::consts::OS`.
        os: String,
        /// Architecture, as in `std::env::consts::ARCH`.
        arch: String,
        /// The build asked for.
        kind: Kind,
    },
    /// The user's cache folder cannot be derived.
    #[error("the home folder is not known. Fix: set NAC_CACHE_DIR to a folder with free space")]
    NoHome,
    /// The cache folder cannot be made.
    #[error("{0}. Fix: set NAC_CACHE_DIR to a folder you can write to")]
    CacheFolder(io::Error),
    /// The disk is too full.
    #[error(
        "{} has {} free, but {} are needed. Fix: make room, or set NAC_CACHE_DIR to another disk",
        folder.display(), amount(*free, "bytes"), amount(*needed, "bytes")
    )]
    Space {
        /// The cache folder.
        folder: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// The lock of the cache could not be taken.
    #[error("locking {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A page of the package index could not be read.
    #[error("{page}")]
    Http {
        /// The address of the page.
        page: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The package index lacks the pinned wheel.
    #[error("{page} does not list {file}")]
    NotListed {
        /// The address of the page.
        page: String,
        /// The wheel.
        file: String,
    },
    /// The package index has another file under the name of the pinned wheel.
    #[error("{page} lists {file} with SHA-256 {found}, expected {expected}")]
    Digest {
        /// The address of the page.
        page: String,
        /// The wheel.
        file: String,
        /// The digest listed.
        found: String,
        /// The pinned digest.
        expected: String,
    },
    /// The address of the package index is not one.
    #[error("{0} is not an address")]
    Address(String),
    /// pip did not download a wheel.
    #[error("pip could not download it ({reason}). Fix, if pip is missing: {PIP_FIX}")]
    Pip {
        /// How it ended.
        reason: String,
    },
    /// A wheel could be had neither from the index nor through pip.
    #[error(
        "{requirement} could not be downloaded.\n  directly: {}\n  with pip: {}\n\
         Without a network: put the file {file} (SHA-256 {sha256}) into {},\n\
         or unpack libtorch {VERSION} anywhere and set LIBTORCH to its folder; then run this again",
        chain(direct.as_ref()), chain(pip.as_ref()), folder.display()
    )]
    Download {
        /// What pip calls the wheel.
        requirement: String,
        /// The name of its file.
        file: String,
        /// The digest of its file.
        sha256: String,
        /// Where it can be put by hand.
        folder: PathBuf,
        /// Why the direct download failed.
        direct: Box<SetupError>,
        /// Why pip failed.
        pip: Box<SetupError>,
    },
    /// A wheel cannot be unpacked.
    #[error("{}", archive.display())]
    Zip {
        /// The wheel.
        archive: PathBuf,
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// A wheel has a member that would be written outside the folder.
    #[error("{}: the member {member} leads out of the folder", archive.display())]
    Member {
        /// The wheel.
        archive: PathBuf,
        /// The member's path.
        member: String,
    },
    /// A wheel has no file that is kept.
    #[error("{} has none of the files expected", archive.display())]
    Empty {
        /// The wheel.
        archive: PathBuf,
    },
    /// What was unpacked is not a usable libtorch.
    #[error("the wheels did not give a usable libtorch")]
    Wheels(#[source] Box<SetupError>),
    /// A folder is no cargo project.
    #[error("{} has no Cargo.toml: run this in the folder of a cargo project, or name it", .0.display())]
    NoManifest(PathBuf),
    /// A cargo configuration file is not valid TOML.
    #[error("{}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: Box<toml_edit::TomlError>,
    },
    /// A key of a cargo configuration file that must be a table is something else.
    #[error("{}: `{key}` is not a table", path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
}

/// How to get pip.
pub const PIP_FIX: &str = "sudo apt-get install python3-pip";

/// An error with its causes, on one line.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
