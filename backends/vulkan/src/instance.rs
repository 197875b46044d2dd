//! The connection to Vulkan, with or without the validation layer.

use core::ffi::{CStr, c_void};
use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ash::{ext, khr, vk};

use crate::error::{Called, VulkanError};

const VALIDATION: &CStr = c"VK_LAYER_KHRONOS_validation";

/// What the validation layer said.
#[derive(Debug, Default)]
pub(crate) struct Messages(Mutex<Vec<String>>);

impl Messages {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, message: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

/// A Vulkan instance, and the validation layer's messenger.
pub(crate) struct Instance {
    pub(crate) raw: ash::Instance,
    pub(crate) messages: Arc<Messages>,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    /// The loaded library: must outlive all of the above.
    pub(crate) entry: ash::Entry,
}

impl Instance {
    pub(crate) fn new(validation: bool) -> Result<Self, VulkanError> {
        // SAFETY: the Vulkan loader is a library made to be loaded; `entry` outlives what it makes.
        let entry = unsafe { ash::Entry::load() }
            .map_err(|e| VulkanError::NoDriver { reason: e.to_string() })?;
        if validation && !has_validation(&entry)? {
            return Err(VulkanError::NoValidation);
        }
        let raw = create(&entry, validation)?;
        let messages = Arc::new(Messages::default());
        let mut made = Self { raw, messages, messenger: None, entry };
        if validation {
            made.messenger = Some(made.listen()?);
        }
        Ok(made)
    }

    fn listen(
        &self,
    ) -> Result<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT), VulkanError> {
        let calls = ext::debug_utils::Instance::new(&self.entry, &self.raw);
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(
                vk::DebugUtilsMessageSeverityFlagsEXT::WARNING
                    | vk::DebugUtilsMessageSeverityFlagsEXT::ERROR,
            )
            .message_type(
                vk::DebugUtilsMessageTypeFlagsEXT::VALIDATION
                    | vk::DebugUtilsMessageTypeFlagsEXT::PERFORMANCE,
            )
            .pfn_user_callback(Some(hear))
            .user_data(Arc::as_ptr(&self.messages).cast_mut().cast());
        // SAFETY: the messages outlive the messenger, which `drop` destroys first.
        let messenger = unsafe { calls.create_debug_utils_messenger(&info, None) }
            .called("vkCreateDebugUtilsMessengerEXT")?;
        Ok((calls, messenger))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance(validation: {})", self.messenger.is_some())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some((calls, messenger)) = self.messenger.take() {
            // SAFETY: made by `listen` from this instance, and destroyed once.
            unsafe { calls.destroy_debug_utils_messenger(messenger, None) };
        }
        // SAFETY: whatever was made from the instance holds an `Arc` of what owns it, and is gone.
        unsafe { self.raw.destroy_instance(None) };
    }
}

fn has_validation(entry: &ash::Entry) -> Result<bool, VulkanError> {
    // SAFETY: a query without preconditions.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }
        .called("vkEnumerateInstanceLayerProperties")?;
    Ok(layers.iter().any(|l| l.layer_name_as_c_str() == Ok(VALIDATION)))
}

/// Whether devices that are layers over another interface, such as Metal, have to be asked for.
fn has_portability(entry: &ash::Entry) -> Result<bool, VulkanError> {
    // SAFETY: a query without preconditions.
    let all = unsafe { entry.enumerate_instance_extension_properties(None) }
        .called("vkEnumerateInstanceExtensionProperties")?;
    let name = khr::portability_enumeration::NAME;
    Ok(all.iter().any(|e| e.extension_name_as_c_str() == Ok(name)))
}

fn create(entry: &ash::Entry, validation: bool) -> Result<ash::Instance, VulkanError> {
    let app = vk::ApplicationInfo::default()
        .application_name(c"decora")
        .engine_name(c"decora")
        .api_version(vk::API_VERSION_1_3);
    let enabled = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
    let mut features = vk::ValidationFeaturesEXT::default().enabled_validation_features(&enabled);
    let (layers, mut extensions) = ([VALIDATION.as_ptr()], Vec::new());
    let mut info = vk::InstanceCreateInfo::default().application_info(&app);
    if validation {
        extensions.push(ext::debug_utils::NAME.as_ptr());
        info = info.enabled_layer_names(&layers).push_next(&mut features);
    }
    if has_portability(entry)? {
        extensions.push(khr::portability_enumeration::NAME.as_ptr());
        info = info.flags(vk::InstanceCreateFlags::ENUMERATE_PORTABILITY_KHR);
    }
    let info = info.enabled_extension_names(&extensions);
    // SAFETY: every pointer in `info` is to a local that outlives the call.
    unsafe { entry.create_instance(&info, None) }.map_err(|result| match result {
        vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
            VulkanError::NoDriver { reason: "no driver was found".into() }
        }
        result => VulkanError::of("vkCreateInstance", result),
    })
}

/// Keeps what the validation layer says.
unsafe extern "system" fn hear(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    messages: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: the pointer `listen` handed over; the messages live as long as the messenger.
    let messages = unsafe { messages.cast::<Messages>().as_ref() };
    // SAFETY: Vulkan hands over valid data, or none, for the time of the call.
    let text = unsafe { data.as_ref() }.map(|data| data.p_message).filter(|p| !p.is_null());
    if let (Some(messages), Some(text)) = (messages, text) {
        // SAFETY: not null, and Vulkan ends its strings with a zero.
        messages.push(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned());
    }
    vk::FALSE
}
