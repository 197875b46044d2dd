//! The blocks of a network.

use decora::direction::Any;
use decora::sequence::Sequence;
use decora::transformer::{Block, Layer, Module as Place, Normalizer, Part, Parts, Projections};

use super::{BuildError, Site, frame};
use crate::HubError;
use crate::modules::{Kind, Module, NormRole, Role};

type Blocks<'w, B> = Vec<Block<'w, B, Any<B>>>;
type LayerOf<'w, B> = Layer<'w, B, Any<B>>;

/// All blocks, first to last.
pub(super) fn blocks<'w, B: Sequence>(
    site: &mut Site<'_, 'w, B>,
    modules: &[Module],
) -> Result<Blocks<'w, B>, BuildError<B::Error>> {
    (0..site.architecture.layers).map(|i| block(site, modules, i)).collect()
}

fn block<'w, B: Sequence>(
    site: &mut Site<'_, 'w, B>,
    modules: &[Module],
    i: usize,
) -> Result<Block<'w, B, Any<B>>, BuildError<B::Error>> {
    let find = |role| modules.iter().find(|m| m.block == Some(i) && m.role == role);
    let projections = match find(Role::Qkv) {
        Some(module) => Projections::Fused(layer(site, Some(module))?),
        None => Projections::Split([
            layer(site, find(Role::Q))?,
            layer(site, find(Role::K))?,
            layer(site, find(Role::V))?,
        ]),
    };
    let gate = find(Role::Gate).map(|module| layer(site, Some(module))).transpose()?;
    let parts = Parts {
        scale: site.architecture.scale(i),
        windowed: site.architecture.is_windowed(i),
        projections,
        output: layer(site, find(Role::O))?,
        gate,
        up: layer(site, find(Role::Up))?,
        down: layer(site, find(Role::Down))?,
        norms: [norm(site, NormRole::Attention, Some(i))?, norm(site, NormRole::Mlp, Some(i))?],
    };
    let keeps = site.sizes.learns && !site.sizes.recompute;
    Ok(Block::new(site.be, &site.shape, parts, keeps)?)
}

fn layer<'w, B: Sequence>(
    site: &mut Site<'_, 'w, B>,
    module: Option<&Module>,
) -> Result<LayerOf<'w, B>, BuildError<B::Error>> {
    let path = &site.architecture.path;
    let missing = || HubError::Missing { path: path.clone(), tensor: "layer of a block".into() };
    let module = module.ok_or_else(missing)?;
    site.layer(module, frame::rows_of(module, &site.shape))
}

/// The norm with this role.
pub(super) fn norm<B: Sequence>(
    site: &mut Site<'_, '_, B>,
    role: NormRole,
    block: Option<usize>,
) -> Result<Normalizer<B>, BuildError<B::Error>> {
    let named = site.architecture.named();
    let kind = Kind::Norm { role, block };
    let path = named.iter().find(|named| named.kind == kind).map(|named| named.path.as_str());
    let path = path.unwrap_or_default();
    let gamma = super::tensors::accum::<B>(site.tensors.get(&format!("{path}.weight"))?);
    let beta = site.tensors.get(&format!("{path}.bias")).ok().map(super::tensors::accum::<B>);
    let place = Place { block, part: part_of(role) };
    Ok(Normalizer::new(site.be, &gamma, beta.as_deref(), place, site.trained())?)
}

pub(super) const fn part_of(role: NormRole) -> Part {
    match role {
        NormRole::Embeddings => Part::EmbeddingNorm,
        NormRole::Attention => Part::AttentionNorm,
        NormRole::Mlp => Part::MlpNorm,
        NormRole::Last => Part::FinalNorm,
    }
}
