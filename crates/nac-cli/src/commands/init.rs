//! `nac init`: settings for a user's own data.

use nac_data::output;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nac_cli::init::{Found, Initialized, Modality, Request, init};
use nac_core::model::InputKind;
use nac_train::run::DataProgress;

/// Classes that are listed.
const MOST_CLASSES: usize = 20;
/// How many times more frequent than the rarest the most frequent class may be without a word.
const UNEVEN: f64 = 3.0;

/// Arguments of `nac init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for config.toml; its name is that of the run
    folder: PathBuf,
    #[command(flatten)]
    data: Data,
    /// Column of the answer, for tables [default: label]
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["images", "points"])]
    label: Option<String>,
    /// Column of the text, for tables of texts [default: text]
    #[arg(long, value_name = "COLUMN", requires = "texts")]
    text: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Data {
    /// Folder with a folder of images for each class
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Folder with a folder of text files for each class, or a table with a column of texts (CSV, TSV, JSON lines)
    #[arg(long, value_name = "DIR|FILE")]
    texts: Option<PathBuf>,
    /// Folder with a folder of meshes or lists of points for each class
    #[arg(long, value_name = "DIR")]
    points: Option<PathBuf>,
    /// Table of numbers with a column of the class, or of a number to predict
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Data {
    fn chosen(&self) -> Option<(Modality, &PathBuf)> {
        let all = [
            (Modality::Images, &self.images),
            (Modality::Texts, &self.texts),
            (Modality::Points, &self.points),
            (Modality::Table, &self.csv),
        ];
        all.into_iter()
            .find_map(|(modality, path)| Some((modality, path.as_ref()?)))
    }
}

pub(crate) fn command(args: &Args) -> Result<()> {
    let (modality, data) = args
        .data
        .chosen()
        .context("give --images, --texts, --points or --csv")?;
    let request = Request {
        folder: args.folder.clone(),
        modality,
        data: data.clone(),
        label: args.label.clone(),
        text: args.text.clone(),
    };
    let done = init(&request, &DataProgress::default()).with_context(|| {
        let table = data.is_file() && args.label.is_none();
        let hint = if table {
            " (its column of answers is --label COLUMN)"
        } else {
            ""
        };
        format!("looking at {}{hint}", data.display())
    })?;
    output::print(shown(&done))?;
    Ok(())
}

/// What was found and what comes next.
fn shown(done: &Initialized) -> String {
    let Initialized {
        found,
        config,
        name,
    } = done;
    let mut text = String::new();
    for part in &found.parts {
        text += &format!("{:12}{} examples\n", part.name, part.examples);
    }
    text += &classes(found);
    text += &sizes(found);
    for note in &found.notes {
        text += &format!("note        {note}\n");
    }
    text += &format!("written     {}\n", config.display());
    text + &format!(
        "next        nac train --config {}    (into runs/{name})\n",
        config.display()
    )
}

fn classes(found: &Found) -> String {
    let Some(classes) = found.info.output.class_count() else {
        return "answer      a number\n".into();
    };
    let mut text = format!("classes     {classes}\n");
    for class in 0..classes.min(MOST_CLASSES) {
        let counts = found.parts.iter().map(|part| {
            let count = part.classes.get(class).copied().unwrap_or(0);
            format!("  {} {count}", part.name)
        });
        let name = found.info.output.class_name(class);
        text += &format!("            {name}:{}\n", counts.collect::<String>());
    }
    if classes > MOST_CLASSES {
        text += &format!("            and {} more\n", classes - MOST_CLASSES);
    }
    if let Some((share, times)) = found.balance() {
        text += &format!(
            "balance     always the most frequent class would be right in {:.1} %",
            100.0 * share
        );
        if times > UNEVEN {
            text += &format!("; it has {times:.0} times as many examples as the rarest");
        }
        text.push('\n');
    }
    text
}

fn sizes(found: &Found) -> String {
    let mut text = String::new();
    if let Some(sizes) = &found.sizes {
        text += &format!(
            "sizes       {}: {} to {}, half at most {}\n",
            sizes.what, sizes.least, sizes.greatest, sizes.median
        );
    }
    for (name, kind) in found.info.inputs.iter() {
        let size = match kind {
            InputKind::Image {
                channels,
                height,
                width,
                ..
            } => format!("{height}x{width} pixels, {channels} channels"),
            InputKind::Tokens { max_len, .. } => format!("up to {max_len} bytes"),
            InputKind::Points { points, .. } => format!("{points} points"),
            InputKind::Features { items, .. } => format!("{items} columns of numbers"),
            other => other.describe(),
        };
        text += &format!("model reads {name}: {size}\n");
    }
    text
}
