//! The part of VK_KHR_shader_bfloat16 that this crate needs and `ash` 0.38 does not have.

use core::ffi::{CStr, c_void};
use core::ptr;

use ash::vk;

/// The extension.
pub(crate) const NAME: &CStr = c"VK_KHR_shader_bfloat16";

/// `VK_COMPONENT_TYPE_BFLOAT16_KHR`: bf16 as the operand of a cooperative matrix.
pub(crate) const COMPONENT: vk::ComponentTypeKHR = vk::ComponentTypeKHR::from_raw(1_000_141_000);

/// `VkPhysicalDeviceShaderBfloat16FeaturesKHR`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    pub(crate) s_type: vk::StructureType,
    pub(crate) p_next: *mut c_void,
    /// `shaderBFloat16Type`.
    pub(crate) kind: vk::Bool32,
    /// `shaderBFloat16DotProduct`.
    pub(crate) dot_product: vk::Bool32,
    /// `shaderBFloat16CooperativeMatrix`.
    pub(crate) matrices: vk::Bool32,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            s_type: vk::StructureType::from_raw(1_000_141_000),
            p_next: ptr::null_mut(),
            kind: vk::FALSE,
            dot_product: vk::FALSE,
            matrices: vk::FALSE,
        }
    }
}

// SAFETY: laid out as the C structure of the extension, which begins with type and next.
unsafe impl vk::ExtendsPhysicalDeviceFeatures2 for Features {}
// SAFETY: as above.
unsafe impl vk::ExtendsDeviceCreateInfo for Features {}
