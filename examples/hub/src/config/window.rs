//! What tokens see of a text in each block of Qwen2 and Mistral.

use super::Family;
use crate::HubError;
use crate::json::Object;

/// The width in files that say nothing about it.
const WIDTH: usize = 4096;

/// How far tokens see back, in which blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// A token sees this many, itself among them.
    pub width: usize,
    /// Whether this is so, for each block; at least one.
    pub blocks: Vec<bool>,
}

impl Window {
    /// The window of a decoder, if it has one: in a window as wide as the longest text, a token sees all.
    pub(super) fn read(
        config: &Object,
        family: Family,
        layers: usize,
        positions: usize,
    ) -> Result<Option<Self>, HubError> {
        let width = match family {
            Family::Mistral => width(config)?,
            Family::Qwen2 if config.flag("use_sliding_window")? == Some(true) => width(config)?,
            _ => None,
        };
        let blocks = match family {
            Family::Qwen2 => sliding(config, layers, width.is_some())?,
            // Mistral does not heed `layer_types`.
            _ => vec![true; layers],
        };
        let width = width.filter(|&width| width < positions && blocks.contains(&true));
        Ok(width.map(|width| Self { width, blocks }))
    }
}

/// `null` is none.
fn width(config: &Object) -> Result<Option<usize>, HubError> {
    let key = "sliding_window";
    match config.has(key) {
        true => config.value(key).map(|_| config.positive(key)).transpose(),
        false => Ok(Some(WIDTH)),
    }
}

/// Which blocks of Qwen2 have a window: `layer_types` says it of each, else `max_window_layers` how many
/// come before the first that has.
fn sliding(config: &Object, layers: usize, on: bool) -> Result<Vec<bool>, HubError> {
    let key = "layer_types";
    let Some(types) = config.texts(key)? else {
        let first = config.count("max_window_layers")?.unwrap_or(28);
        return Ok((0..layers).map(|block| on && block >= first).collect());
    };
    let (full, sliding) = (["full_attention", "attention"], "sliding_attention");
    let known = |kind: &String| full.contains(&kind.as_str()) || kind == sliding;
    if types.len() != layers || !types.iter().all(known) {
        let expected = format!("full_attention or sliding_attention for each of {layers} blocks");
        return Err(config.wrong(key, expected));
    }
    let blocks: Vec<_> = types.iter().map(|kind| kind == sliding).collect();
    if !on && blocks.contains(&true) {
        let expected = "full_attention in all blocks, or use_sliding_window and sliding_window";
        return Err(config.wrong(key, expected));
    }
    Ok(blocks)
}
