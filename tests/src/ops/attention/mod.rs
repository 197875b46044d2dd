//! Attention over spans of keys, and its gradient.

mod backward;
mod case;
mod forward;

pub use backward::attention_grad;
pub use forward::attention;
