//! Image tokenizers: the reference's `ConvNeXtImageTokenizer` and `PositionalGrid`.

use serde_json::{Value, json};

use super::error::ReferenceError;
use super::reader::Reader;
use nac_modules::tokenizer::ConvNextConfig;

type Result<T> = std::result::Result<T, ReferenceError>;

/// A separate `ConvNeXtImageTokenizer`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedTokenizer {
    /// `input_dim`.
    pub channels: usize,
    /// The other settings.
    pub config: ConvNextConfig,
}

/// A separate `PositionalGrid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedGrid {
    /// `dim`.
    pub dim: usize,
    /// `grid_size`, height and width.
    pub size: [usize; 2],
    /// `batch_size` of the golden.
    pub batch_size: usize,
}

/// Blocks per stage by `capacity_preset`.
pub(crate) const CAPACITY_PRESETS: [(&str, [usize; 3]); 7] = [
    ("atto", [0, 0, 0]),
    ("femto", [1, 0, 0]),
    ("pico", [1, 1, 0]),
    ("nano", [1, 1, 1]),
    ("micro", [3, 3, 3]),
    ("mini", [3, 3, 6]),
    ("tiny", [3, 3, 9]),
];
/// Blocks per stage for every other name.
const LARGEST_CAPACITY: [usize; 3] = [3, 3, 27];

/// A list of sizes that may be absent.
fn sizes(r: &mut Reader<'_>, key: &'static str) -> Result<Option<Vec<usize>>> {
    let value = match r.raw(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let found = value
        .as_array()
        .and_then(|all| all.iter().map(number).collect());
    found.map(Some).ok_or_else(|| ReferenceError::Type {
        path: r.path(key),
        value: value.to_string(),
        expected: "a list of sizes",
    })
}

/// Arguments of `ConvNeXtImageTokenizer` besides `input_dim`. Stages are a quarter, half and all of `repr_dim` wide.
pub(super) fn tokenizer_settings(
    r: &mut Reader<'_>,
    width: Option<usize>,
) -> Result<ConvNextConfig> {
    let width = r.optional_size("repr_dim")?.or(width).unwrap_or(384);
    let preset = r.word("capacity_preset")?.unwrap_or("tiny");
    let named = CAPACITY_PRESETS.iter().find(|(name, _)| *name == preset);
    let depths = named.map_or(LARGEST_CAPACITY, |(_, depths)| *depths);
    let stages = match r.optional_size("num_stages")? {
        Some(0) => return Err(r.unsupported("num_stages", &json!(0), "must be at least 1")),
        stages => stages.unwrap_or(3).min(3),
    };
    let mut config = ConvNextConfig {
        depths: depths[..stages].to_vec(),
        dims: [width / 4, width / 2, width][..stages].to_vec(),
        grid_dim: 0,
        ..Default::default()
    };
    let mut inner = r.table("convnext_kwargs")?;
    let reason = "features are those of the last stage, without pooling or classes";
    inner.only("gap", &json!(false), reason)?;
    inner.only("num_classes", &Value::Null, reason)?;
    inner.only(
        "drop_path_rate",
        &json!(0.0),
        "this tokenizer has no drop-path",
    )?;
    inner.without_effect(&["head_init_scale"]);
    config.layer_scale = inner.number("layer_scale_init_value", 1e-6)?;
    if config.layer_scale <= 0.0 {
        let value = json!(config.layer_scale);
        let reason = "blocks without layer scale are not built";
        return Err(inner.unsupported("layer_scale_init_value", &value, reason));
    }
    if let Some(depths) = sizes(&mut inner, "depths")? {
        config.depths = depths;
    }
    if let Some(dims) = sizes(&mut inner, "dims")? {
        config.dims = dims;
    }
    inner.finish()?;
    if r.raw("positional_grid_kwargs")
        .is_some_and(|v| !v.is_null())
    {
        let mut inner = r.table("positional_grid_kwargs")?;
        config.grid_dim = inner.size("dim")?;
        config.grid_size = Some(grid_size(&mut inner)?);
        inner.finish()?;
    }
    Ok(config)
}

/// `grid_size`, two numbers or one for both.
fn grid_size(r: &mut Reader<'_>) -> Result<[usize; 2]> {
    let value = r.raw("grid_size").unwrap_or(&Value::Null);
    let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let size = match value {
        Value::Array(entries) if entries.len() == 2 => number(&entries[0]).zip(number(&entries[1])),
        one => number(one).map(|n| (n, n)),
    };
    let (height, width) = size.ok_or_else(|| ReferenceError::Type {
        path: r.path("grid_size"),
        value: value.to_string(),
        expected: "height and width",
    })?;
    Ok([height, width])
}

pub(super) fn tokenizer(mut r: Reader<'_>) -> Result<ImportedTokenizer> {
    r.without_effect(&["cls"]);
    let channels = r.optional_size("input_dim")?.unwrap_or(3);
    let config = tokenizer_settings(&mut r, None)?;
    // What follows from the preset may stand beside it, but may not contradict it.
    let grid = config.grid_dim;
    let tokens = config.dims.last().map(|dim| dim + grid);
    for (key, ours) in [
        ("depths", json!(config.depths)),
        ("dims", json!(config.dims)),
        ("output_dim", json!(tokens)),
    ] {
        r.only(key, &ours, "differs from what the preset gives")?;
    }
    r.finish()?;
    Ok(ImportedTokenizer { channels, config })
}

pub(super) fn grid(mut r: Reader<'_>) -> Result<ImportedGrid> {
    r.without_effect(&["cls"]);
    let grid = ImportedGrid {
        dim: r.size("dim")?,
        size: grid_size(&mut r)?,
        batch_size: r.size("batch_size")?,
    };
    r.finish()?;
    Ok(grid)
}
