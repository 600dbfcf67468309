//! Settings of the Perceiver IO baseline.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Sizes of a Perceiver IO. Defaults are the reference's ImageNet baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerceiverIoConfig {
    /// Self-attention layers. Default 8.
    pub depth: usize,
    /// Latents. Default 640.
    pub latents: usize,
    /// Dimension of latents. Default 384.
    pub latent_dim: usize,
    /// Dimension of the query that reads the answer. Default: as the latents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_dim: Option<usize>,
    /// Heads of the two cross-attentions. Default 1.
    pub cross_heads: usize,
    /// Heads of the self-attentions. Default 8.
    pub latent_heads: usize,
    /// Features per head of the self-attentions. Default 64.
    pub head_dim: usize,
    /// Features per head of the cross-attentions; as `head_dim` if not set. Default not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_head_dim: Option<usize>,
    /// Hidden width of feed-forward blocks as a multiple of `latent_dim`. Default 4.
    pub ffn_multiplier: usize,
    /// Whether all self-attention layers are one, saved under every layer's name. Default false.
    pub weight_tie_layers: bool,
    /// Whether the decoder has a feed-forward block. Default true.
    pub decoder_ffn: bool,
}

impl Default for PerceiverIoConfig {
    fn default() -> Self {
        Self {
            depth: 8,
            latents: 640,
            latent_dim: 384,
            query_dim: None,
            cross_heads: 1,
            latent_heads: 8,
            head_dim: 64,
            cross_head_dim: None,
            ffn_multiplier: 4,
            weight_tie_layers: false,
            decoder_ffn: true,
        }
    }
}

impl PerceiverIoConfig {
    /// Features per head of the cross-attentions.
    pub fn cross_head_dim(&self) -> usize {
        self.cross_head_dim.unwrap_or(self.head_dim)
    }

    /// Dimension of the query that reads the answer.
    pub fn query_dim(&self) -> usize {
        self.query_dim.unwrap_or(self.latent_dim)
    }

    /// Refuses feed-forward blocks and heads without features.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a factor or a width is zero.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.ffn_multiplier == 0 || self.head_dim == 0 || self.cross_head_dim() == 0 {
            return Err(ConfigError::Setting {
                name: "perceiver_io.ffn_multiplier, head_dim or cross_head_dim".into(),
                value: "0".into(),
                reason: "must be at least 1".into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_of_zero_are_refused_and_unset_ones_follow() {
        let config = PerceiverIoConfig::default();
        config.check().unwrap();
        assert_eq!((config.cross_head_dim(), config.query_dim()), (64, 384));
        let refused = |change: &dyn Fn(&mut PerceiverIoConfig)| {
            let mut config = PerceiverIoConfig::default();
            change(&mut config);
            assert!(config.check().is_err(), "{config:?}");
        };
        refused(&|c| c.ffn_multiplier = 0);
        refused(&|c| c.head_dim = 0);
        refused(&|c| c.cross_head_dim = Some(0));
    }
}
