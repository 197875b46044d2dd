//! The whole suite: as a list of reports, and as tests.

use decora::backend::Backend;
use decora::network::Network;
use decora::sequence::Sequence;

use crate::against::Make;
use crate::report::Report;

/// Calls the macro named in brackets with what follows, and the names of all properties of a kind.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_backend {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* ops: alloc write read weight gemm gemm_frozen gemm_adapted frozen_rows
            frozen_row_sq axpy dropout scale_rows row_dot low_rank_row_sq affine affine_grad col_sum
            gain gain_grad sum_sq adamw sgd }
    };
}

/// As `each_of_backend`, for networks.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_network {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* ops: activate activate_grad softmax_cross_entropy squared_error }
    };
}

/// As `each_of_backend`, for networks over sequences.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_sequence {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* ops: gather gather_rows gather_grad normalize normalize_grad
            normalize_gain_grad rotate gate gate_grad attention attention_grad }
    };
}

/// As `each_of_backend`, for adapters.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_adapters {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* invariants: starts_at_base dense_starts_at_base dropout_off_in_eval
            rank_stabilised merged_is_forward unmerge_restores factored_norm norm_is_free_of_scale
            exact_is_orthogonal doubled_magnitude negated_magnitude zero_row micro_batches
            magnitude_moves decay_spares_magnitude frozen_a refusals }
    };
}

/// As `each_of_backend`, for perceptrons.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_mlp {
    ([$($then:tt)*] $($arg:tt)*) => { $($then)*! { $($arg)* invariants: network_refusals cache_changes_nothing } };
}

/// As `each_of_backend`, for gradients.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_gradients {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* gradient: layer_gradient activation_gradient loss_gradient
            mlp_gradient }
    };
}

/// As `each_of_backend`, for gradients of networks over sequences.
#[doc(hidden)]
#[macro_export]
macro_rules! each_of_sequence_gradients {
    ([$($then:tt)*] $($arg:tt)*) => {
        $($then)*! { $($arg)* gradient: table_gradient normalize_gradient rotate_gradient
            gate_gradient attention_gradient }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! test_each {
    ($make:expr, $module:ident: $($property:ident)*) => {
        $(
            #[test]
            fn $property() {
                $crate::$module::$property(&$make).assert_ok();
            }
        )*
    };
}

/// One test for each property of a device: `suite!(name, || device)`. Every test is named after
/// its property, in a module of this name.
///
/// `suite!(name, || device, network)` is for devices without
/// [`Sequence`](decora::sequence::Sequence), `suite!(name, || device, backend)` for those without
/// [`Network`](decora::network::Network) as well.
#[macro_export]
macro_rules! suite {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::each_of_backend!([$crate::test_each] $make,);
            $crate::each_of_network!([$crate::test_each] $make,);
            $crate::each_of_sequence!([$crate::test_each] $make,);
            $crate::each_of_adapters!([$crate::test_each] $make,);
            $crate::each_of_mlp!([$crate::test_each] $make,);
        }
    };
    ($name:ident, $make:expr, network) => {
        mod $name {
            use super::*;
            $crate::each_of_backend!([$crate::test_each] $make,);
            $crate::each_of_network!([$crate::test_each] $make,);
            $crate::each_of_adapters!([$crate::test_each] $make,);
            $crate::each_of_mlp!([$crate::test_each] $make,);
        }
    };
    ($name:ident, $make:expr, backend) => {
        mod $name {
            use super::*;
            $crate::each_of_backend!([$crate::test_each] $make,);
            $crate::each_of_adapters!([$crate::test_each] $make,);
        }
    };
}

/// One test for each gradient of a device whose numbers are `f64`: `gradients!(name, || device)`;
/// `gradients!(name, || device, network)` for devices without
/// [`Sequence`](decora::sequence::Sequence).
#[macro_export]
macro_rules! gradients {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::each_of_gradients!([$crate::test_each] $make,);
            $crate::each_of_sequence_gradients!([$crate::test_each] $make,);
        }
    };
    ($name:ident, $make:expr, network) => {
        mod $name {
            use super::*;
            $crate::each_of_gradients!([$crate::test_each] $make,);
        }
    };
}

macro_rules! names {
    ($module:ident: $($property:ident)*) => { &[$(stringify!($property)),*] };
}

macro_rules! reports {
    ($make:expr, $module:ident: $($property:ident)*) => {
        [$(crate::$module::$property($make)),*]
    };
}

/// The methods of [`Backend`] that have a property of the same name.
pub const BACKEND: &[&str] = each_of_backend!([names]);

/// The methods of [`Network`] that have a property of the same name.
pub const NETWORK: &[&str] = each_of_network!([names]);

/// The methods of [`Sequence`] that have a property of the same name.
pub const SEQUENCE: &[&str] = each_of_sequence!([names]);

/// Every property of a backend, one after the other.
#[must_use]
pub fn backend<B: Backend>(make: Make<'_, B>) -> Vec<Report> {
    let mut all = each_of_backend!([reports] make,).to_vec();
    all.extend(each_of_adapters!([reports] make,));
    all
}

/// Every further property of a device for networks.
#[must_use]
pub fn network<B: Network>(make: Make<'_, B>) -> Vec<Report> {
    let mut all = each_of_network!([reports] make,).to_vec();
    all.extend(each_of_mlp!([reports] make,));
    all
}

/// Every further property of a device for networks over sequences.
#[must_use]
pub fn sequence<B: Sequence>(make: Make<'_, B>) -> Vec<Report> {
    each_of_sequence!([reports] make,).to_vec()
}
