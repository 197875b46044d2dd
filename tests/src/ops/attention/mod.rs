//! Attention over spans of keys, and its gradient.

mod backward;
mod case;
mod forward;

pub use backward::attention_grad;
pub(crate) use case::{Case, Spans};
pub use forward::attention;
