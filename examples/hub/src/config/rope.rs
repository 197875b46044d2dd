//! Rotary positions: which angles queries and keys are turned by.

use core::f32::consts::PI;
use core::f64::consts::TAU;

use super::checks;
use crate::HubError;
use crate::json::Object;

/// θ in files that say nothing about it.
const THETA: f64 = 10_000.0;
/// The largest θ: the slowest wave of any model in use is far shorter.
const MAX_THETA: f64 = 1e12;
/// The largest factor of a scaling.
const MAX_FACTOR: f64 = 1e6;

/// How angles were stretched for longer texts than the first ones in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All of them divided by a factor.
    Linear {
        /// By which.
        factor: f64,
    },
    /// Those of long waves divided by a factor, those of short ones left, with a ramp between
    /// (Llama 3.1).
    Llama3 {
        /// By which long waves are divided.
        factor: f64,
        /// Waves longer than `original`/`low` are long.
        low: f64,
        /// Waves shorter than `original`/`high` are short.
        high: f64,
        /// Tokens of a text before the stretching.
        original: usize,
    },
    /// Those of pair `last` and after divided by a factor, those up to pair `first` left, with a ramp
    /// between; and what is turned multiplied by a number (YaRN, Peng et al. 2023).
    Yarn {
        /// By which the last pairs are divided.
        factor: f64,
        /// Where the ramp begins, in pairs.
        first: f64,
        /// Where it ends.
        last: f64,
        /// What cos and sin are multiplied by.
        amplitude: f64,
    },
}

/// Rotary positions: elements i and i + dim/2 of a head are turned by position·f_i.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Width of a head, all of which is turned; even.
    pub dim: usize,
    /// θ: f_i = θ^(−2i/dim) before scaling.
    pub theta: f64,
    /// How they were stretched.
    pub scaling: Scaling,
}

impl Rope {
    /// f_i for i below dim/2, in radians per token.
    ///
    /// Computed in `f32` step by step, as transformers does: a power of 1 ulp off would be as good by
    /// itself, but at position 10⁴ its angle is off by 10⁻³.
    #[must_use]
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.dim / 2).map(|i| self.frequency(i)).collect()
    }

    /// What cos and sin of the angles are multiplied by.
    #[must_use]
    pub const fn amplitude(&self) -> f64 {
        match self.scaling {
            Scaling::Yarn { amplitude, .. } => amplitude,
            _ => 1.0,
        }
    }

    /// 1/f_i before scaling.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
    fn wave(&self, i: usize) -> f32 {
        let exponent = (2 * i) as f32 / self.dim as f32;
        let theta = f64::from(self.theta as f32);
        theta.powf(f64::from(exponent)) as f32
    }

    #[expect(clippy::cast_possible_truncation, reason = "transformers computes in f32")]
    fn frequency(&self, i: usize) -> f32 {
        let f = 1.0 / self.wave(i);
        match self.scaling {
            Scaling::None => f,
            Scaling::Yarn { factor, first, last, .. } => {
                let ramp = (i as f32 - first as f32) / (last - first) as f32;
                let kept = 1.0 - ramp.clamp(0.0, 1.0);
                1.0 / (factor as f32 * self.wave(i)) * (1.0 - kept) + f * kept
            }
            Scaling::Linear { factor } => f / factor as f32,
            Scaling::Llama3 { factor, low, high, original } => {
                let (factor, original) = (factor as f32, original as f64);
                let wave = 2.0 * PI / f;
                if wave > (original / low) as f32 {
                    return f / factor;
                }
                if wave < (original / high) as f32 {
                    return f;
                }
                let smooth = (original as f32 / wave - low as f32) / (high - low) as f32;
                (1.0 - smooth) * f / factor + smooth * f
            }
        }
    }
}

/// The rotation of a head of width `dim`. Transformers 5 writes all of it under `rope_parameters`,
/// version 4 under `rope_theta` and `rope_scaling`; it reads `rope_scaling` first.
pub(super) fn read(config: &Object, dim: usize, positions: usize) -> Result<Rope, HubError> {
    let outer = config.number("rope_theta")?;
    let inner = config.object(config.first(&["rope_scaling", "rope_parameters"]))?;
    let Some(inner) = inner else {
        let theta = theta(config, outer.unwrap_or(THETA))?;
        return Ok(Rope { dim, theta, scaling: Scaling::None });
    };
    checks::only_one(&inner, "partial_rotary_factor")?;
    let source = if inner.has("rope_theta") { &inner } else { config };
    let theta = theta(source, inner.number("rope_theta")?.or(outer).unwrap_or(THETA))?;
    let scaling = scaling(config, &inner, Rope { dim, theta, scaling: Scaling::None }, positions)?;
    Ok(Rope { dim, theta, scaling })
}

fn theta(source: &Object, theta: f64) -> Result<f64, HubError> {
    let null = source.has("rope_theta") && source.value("rope_theta").is_none();
    match theta > 0.0 && theta <= MAX_THETA && !null {
        true => Ok(theta),
        false => Err(source.wrong("rope_theta", format!("more than 0, and at most {MAX_THETA:e}"))),
    }
}

fn scaling(
    config: &Object,
    inner: &Object,
    plain: Rope,
    positions: usize,
) -> Result<Scaling, HubError> {
    let key = inner.first(&["rope_type", "type"]);
    match inner.text(key)? {
        None if inner.has("rope_type") || inner.has("type") => Err(inner.wrong(key, "a text")),
        None | Some("default") => Ok(Scaling::None),
        Some("linear") => Ok(Scaling::Linear { factor: factor(inner, "factor")? }),
        Some("llama3") => llama3(inner, original(config, inner, positions)?),
        Some("yarn") => yarn(inner, plain, original(config, inner, positions)?),
        // Angles are stretched for texts of more tokens than `positions`, which are refused.
        Some("dynamic") => factor(inner, "factor").map(|_| Scaling::None),
        Some(_) => Err(inner.wrong(key, "one of default, linear, dynamic, llama3, yarn")),
    }
}

/// Tokens of a text before the stretching.
fn original(config: &Object, inner: &Object, positions: usize) -> Result<usize, HubError> {
    let key = "original_max_position_embeddings";
    match (config.value(key), inner.has(key)) {
        (Some(_), _) => config.positive(key),
        (None, true) => inner.positive(key),
        (None, false) => Ok(positions),
    }
}

fn llama3(inner: &Object, original: usize) -> Result<Scaling, HubError> {
    let (low, high) = (factor(inner, "low_freq_factor")?, factor(inner, "high_freq_factor")?);
    if high <= low {
        return Err(inner.wrong("high_freq_factor", format!("more than low_freq_factor {low}")));
    }
    Ok(Scaling::Llama3 { factor: factor(inner, "factor")?, low, high, original })
}

/// A pair that turns n times within the `original` tokens has the number ½d·ln(original/(2πn))/ln θ: the ramp
/// goes from `beta_fast` turns to `beta_slow`.
fn yarn(inner: &Object, plain: Rope, original: usize) -> Result<Scaling, HubError> {
    let by = factor(inner, "factor")?;
    let turns = |key, default| match inner.value(key) {
        Some(value) if value.as_f64() != Some(0.0) => factor(inner, key),
        _ => Ok(default),
    };
    let (fast, slow) = (turns("beta_fast", 32.0)?, turns("beta_slow", 1.0)?);
    let dim = plain.dim as f64;
    let pair = |n: f64| dim * (original as f64 / (n * TAU)).ln() / (2.0 * plain.theta.ln());
    let (mut first, mut last) = (pair(fast), pair(slow));
    if inner.flag("truncate")?.unwrap_or(true) {
        (first, last) = (first.floor(), last.ceil());
    }
    (first, last) = (first.max(0.0), last.min(dim - 1.0));
    if first == last {
        last += 0.001;
    }
    if !(first.is_finite() && last.is_finite()) {
        return Err(inner.wrong("rope_theta", "not 1, of which no wave follows"));
    }
    let amplitude = match inner.number("attention_factor")? {
        Some(amplitude) => amplitude,
        None => amplitude(inner, by)?,
    };
    Ok(Scaling::Yarn { factor: by, first, last, amplitude })
}

/// 1 + 0.1·ln factor, or with both of `mscale` and `mscale_all_dim` the ratio of what each makes of it.
fn amplitude(inner: &Object, factor: f64) -> Result<f64, HubError> {
    let of = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let scale = |key| Ok::<_, HubError>(inner.number(key)?.filter(|&scale| scale != 0.0));
    match (scale("mscale")?, scale("mscale_all_dim")?) {
        (Some(over), Some(under)) => Ok(of(over) / of(under)),
        _ => Ok(of(1.0)),
    }
}

fn factor(inner: &Object, key: &str) -> Result<f64, HubError> {
    match inner.number(key)? {
        Some(factor) if factor > 0.0 && factor <= MAX_FACTOR => Ok(factor),
        _ => Err(inner.wrong(key, format!("a number of more than 0, and at most {MAX_FACTOR:e}"))),
    }
}
