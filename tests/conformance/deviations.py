"""Which requirements two other profiles do not meet, and why: what they model differs there."""

_NO_BINDING = "no interrupt can be bound: the series left shared and bound events out"
_NO_CRITICAL = "no critical event, and no shared one"
_TARGET = "EVENT_SIGNAL is for the caller itself; its handler must be registered"
_STRICT = "EVENT_SIGNAL to a PE that is masked, or has event 0 not enabled, is INVALID_PARAMETERS"
_NUMBER_STAYS = "the number of a released event stays known: EVENT_STATUS answers 0"

TF_A = {
    "bind_active": "the active state is looked at by EVENT_REGISTER and INTERRUPT_RELEASE",
    "bind_refused": "binding an interrupt of the secure world is DENIED",
    "disable_in_handler": _STRICT,
    "features": "implements 1.0: there is no feature 1",
    "mask_in_handler": "PE_MASK takes effect at once",
    "matrix_private": _NUMBER_STAYS,
    "matrix_shared": _NUMBER_STAYS,
    "register_arguments": "does not look whether the entry is a multiple of 4",
    "relative_mode": "not offered",
    "release": _NUMBER_STAYS,
    "resume": "EVENT_COMPLETE_AND_RESUME clears NZCV",
    "resume_errors": "a bad resume address is DENIED",
    "signal_coalesces": _STRICT,
    "signal_to_a_pe_that_is_off": _STRICT,
    "signal_outlives_mask": "the signal is lost when the handler completes",
    "suspend": _STRICT,
    "trigger_before_enable": _STRICT,
    "version": "implements 1.0",
}

KVM_V7 = {
    "bind_active": _NO_BINDING,
    "bind_refused": _NO_BINDING,
    "bind_same_number": _NO_BINDING,
    "bind_slots": _NO_BINDING,
    "complete_restores": "EVENT_COMPLETE outside a handler writes nothing",
    "context_nested": _NO_CRITICAL,
    "cpu_off_in_handler": _NO_BINDING,
    "critical_preempts": _NO_CRITICAL,
    "entry_pstate": _NO_BINDING,
    "entry_registers": "x4-x17 are zero at the entry",
    "event_numbers": _NO_BINDING,
    "features": "no bind slots",
    "get_info": "EV_SIGNALED is inverted",
    "handler_of_another_pe": _NO_BINDING,
    "level_fires_again": _NO_BINDING,
    "level_gone": _NO_BINDING,
    "mask_in_handler": _NO_CRITICAL,
    "matrix_private": _NO_BINDING,
    "matrix_shared": _NO_BINDING,
    "owned_interrupt": _NO_BINDING,
    "pe_mask": "PE_MASK always answers 0",
    "private_per_pe": _NO_BINDING,
    "private_reset": _NO_BINDING,
    "private_reset_running": _NO_BINDING,
    "register_arguments": _NO_BINDING,
    "relative_mode": "not offered",
    "release": _NO_BINDING,
    "reset_in_nested_handler": _NO_CRITICAL,
    "resume_errors": "EVENT_COMPLETE_AND_RESUME outside a handler writes nothing",
    "resume_in_nested_handler": _NO_CRITICAL,
    "routing_any": _NO_BINDING,
    "routing_pe": _NO_BINDING,
    "routing_set": _NO_BINDING,
    "routing_skips_busy": _NO_BINDING,
    "shared_global": _NO_BINDING,
    "shared_never_overlaps": _NO_BINDING,
    "shared_reset": _NO_CRITICAL,
    "shared_reset_running": _NO_BINDING,
    "signal_coalesces": _TARGET,
    "signal_orders_stores": _TARGET,
    "signal_to_a_loop": _TARGET,
    "signal_to_a_pe_that_is_off": _TARGET,
    "signal_to_wfi": _TARGET,
    "smc_conduit": "HVC only",
    "trigger_before_enable": _NO_BINDING,
}

DEVIATIONS = {"tf-a": TF_A, "kvm-v7": KVM_V7}
