; The hooks of a core as machine code, compiled by clock.py. In Python, @block is Clock._python_block,
; @exception is Core._on_exception, @read and @write are Core._on_counter, and what they call has the
; names that it has here.
;
; %state is the clock's words. A word in capitals is the number of one of them, or the address of a
; function of Unicorn's. An address among the words may be null, but not while PLAIN is set.

; -- a block begins

define void @block(ptr %uc, i64 %start, i32 %size, ptr %state) {
  %bytes = zext i32 %size to i64
  %count = lshr i64 %bytes, 2
  %index = load i64, ptr %state
  %next = add i64 %index, %count
  %limit_at = getelementptr i64, ptr %state, i64 LIMIT
  %limit = load volatile i64, ptr %limit_at
  %past = icmp ugt i64 %next, %limit
  %place = or i64 %start, %bytes
  %odd = and i64 %place, 3
  %between_words = icmp ne i64 %odd, 0
  %odd_one = or i1 %past, %between_words
  br i1 %odd_one, label %look, label %counted
look:
  %wanted = call i1 @stop_wanted(i64 %next, i64 %odd, ptr %state)
  br i1 %wanted, label %refused, label %counted
counted:
  store i64 %next, ptr %state
  %last_start = getelementptr i64, ptr %state, i64 LAST_START
  store i64 %start, ptr %last_start
  %last_size = getelementptr i64, ptr %state, i64 LAST_SIZE
  store i64 %bytes, ptr %last_size
  ret void
refused:
  %blocked_start = getelementptr i64, ptr %state, i64 BLOCKED_START
  store i64 %start, ptr %blocked_start
  %blocked_size = getelementptr i64, ptr %state, i64 BLOCKED_SIZE
  store i64 %bytes, ptr %blocked_size
  %stop = inttoptr i64 EMU_STOP to ptr
  %ignored = call i32 %stop(ptr %uc)
  ret void
}

define internal i1 @stop_wanted(i64 %next, i64 %odd, ptr %state) noinline {
  %target_at = getelementptr i64, ptr %state, i64 TARGET
  %target = load i64, ptr %target_at
  %past = icmp ugt i64 %next, %target
  %interrupt_at = getelementptr i64, ptr %state, i64 INTERRUPT
  %interrupt = load volatile i64, ptr %interrupt_at
  %reason = or i64 %interrupt, %odd
  %other = icmp ne i64 %reason, 0
  %plainly = or i1 %past, %other
  br i1 %plainly, label %yes, label %irq
irq:
  %irq_at = getelementptr i64, ptr %state, i64 IRQ
  %pending = load i64, ptr %irq_at
  %none = icmp eq i64 %pending, 0
  br i1 %none, label %no, label %masks
masks:
  %daif_at = getelementptr i64, ptr %state, i64 DAIF_AT
  %daif_place = load ptr, ptr %daif_at
  %unknown = icmp eq ptr %daif_place, null
  br i1 %unknown, label %yes, label %compare
compare:
  %daif = load i32, ptr %daif_place
  %masked = and i32 %daif, 128
  %unmasked = icmp eq i32 %masked, 0
  ret i1 %unmasked
yes:
  ret i1 true
no:
  ret i1 false
}

; -- an exception

define void @exception(ptr %uc, i32 %number, ptr %state) {
  ; The shortest ways to the hypervisor: a hypercall's (11), and that of a device's access (4)
  %plain_at = getelementptr i64, ptr %state, i64 PLAIN
  %plain = load i64, ptr %plain_at
  %is_plain = icmp ne i64 %plain, 0
  br i1 %is_plain, label %which, label %other
which:
  switch i32 %number, label %other [ i32 11, label %hvc
                                     i32 4, label %abort ]
hvc:
  call void @note_call(ptr %state)
  %hypercall_at = getelementptr i64, ptr %state, i64 HYPERCALL
  %hypercall = load ptr, ptr %hypercall_at
  tail call void %hypercall()
  ret void
abort:
  %hpfar_at_at = getelementptr i64, ptr %state, i64 HPFAR_AT
  %hpfar_at = load ptr, ptr %hpfar_at_at
  %hpfar = load i64, ptr %hpfar_at
  %page = shl i64 %hpfar, 8
  %ram_base_at = getelementptr i64, ptr %state, i64 RAM_BASE
  %ram_base = load i64, ptr %ram_base_at
  %ram_size_at = getelementptr i64, ptr %state, i64 RAM_SIZE
  %ram_size = load i64, ptr %ram_size_at
  %page_offset = sub i64 %page, %ram_base
  %in_ram = icmp ult i64 %page_offset, %ram_size
  br i1 %in_ram, label %other, label %fetch
fetch:
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %physical_at = alloca i64
  %translate = inttoptr i64 TRANSLATE to ptr
  %error = call i32 %translate(ptr %uc, i64 %pc, i32 4, ptr %physical_at)  ; to execute
  %physical = load i64, ptr %physical_at
  %offset = sub i64 %physical, %ram_base
  %readable = icmp ult i64 %offset, %ram_size
  %translated = icmp eq i32 %error, 0
  %found = and i1 %translated, %readable
  br i1 %found, label %ask, label %other
ask:
  %ram_at_at = getelementptr i64, ptr %state, i64 RAM_AT
  %ram_at = load ptr, ptr %ram_at_at
  %in_word = and i64 %offset, -4  ; a PC between two words is refused later; stay within RAM
  %word_at = getelementptr i8, ptr %ram_at, i64 %in_word
  %word = load i32, ptr %word_at
  call void @settle(i64 %pc, ptr %state)
  %device_at = getelementptr i64, ptr %state, i64 DEVICE
  %device = load ptr, ptr %device_at
  %answered = call zeroext i1 %device(i32 %word)
  br i1 %answered, label %done, label %other
done:
  ret void
other:
  %exception_at = getelementptr i64, ptr %state, i64 EXCEPTION
  %exception = load ptr, ptr %exception_at
  tail call void %exception(ptr %uc, i32 %number)
  ret void
}

define internal void @note_call(ptr %state) {
  ; As Core._note_call does
  %index = load i64, ptr %state
  %index_to = getelementptr i64, ptr %state, i64 CALL
  store i64 %index, ptr %index_to
  %skipped_at_at = getelementptr i64, ptr %state, i64 SKIPPED_AT
  %skipped_at = load ptr, ptr %skipped_at_at
  %skipped = load i64, ptr %skipped_at
  %time = add i64 %index, %skipped
  %time_to = getelementptr i64, ptr %index_to, i64 1
  store i64 %time, ptr %time_to
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %pc_to = getelementptr i64, ptr %index_to, i64 2
  store i64 %pc, ptr %pc_to
  %x_at_at = getelementptr i64, ptr %state, i64 X_AT
  %x_at = load ptr, ptr %x_at_at
  %x0_to_x5 = load <6 x i64>, ptr %x_at, align 8
  %x_to = getelementptr i64, ptr %index_to, i64 3
  store <6 x i64> %x0_to_x5, ptr %x_to, align 8
  ret void
}

define internal void @settle(i64 %pc, ptr %state) {
  ; As Core.settle does
  %last_size_at = getelementptr i64, ptr %state, i64 LAST_SIZE
  %last_size = load i64, ptr %last_size_at
  store i64 0, ptr %last_size_at
  %last_start_at = getelementptr i64, ptr %state, i64 LAST_START
  %last_start = load i64, ptr %last_start_at
  %end = add i64 %last_start, %last_size
  %left = sub i64 %end, %pc
  %left_less_1 = sub i64 %left, 1
  %within = icmp ult i64 %left_less_1, %last_size
  %left_words = lshr i64 %left, 2
  %beyond = select i1 %within, i64 %left_words, i64 0
  %index = load i64, ptr %state
  %here = sub i64 %index, %beyond
  store i64 %here, ptr %state
  ret void
}

; -- MRS and MSR

define i32 @read(ptr %uc, i32 %number, ptr %register, ptr %state) {
  %ours = call i1 @is_counter(ptr %register)
  br i1 %ours, label %time, label %no
time:
  %told = call i1 @tell_time(ptr %uc, i32 %number, ptr %register, ptr %state)
  br i1 %told, label %done, label %ask
ask:
  %function_at = getelementptr i64, ptr %state, i64 READ_COUNTER
  %function = load ptr, ptr %function_at
  %skip = call i32 %function(ptr %uc, i32 %number, ptr %register, ptr %state)
  ret i32 %skip
done:
  ret i32 1
no:
  ret i32 0
}

define i32 @write(ptr %uc, i32 %number, ptr %register, ptr %state) {
  %ours = call i1 @is_counter(ptr %register)
  br i1 %ours, label %ask, label %no
ask:
  %function_at = getelementptr i64, ptr %state, i64 WRITE_COUNTER
  %function = load ptr, ptr %function_at
  %skip = call i32 %function(ptr %uc, i32 %number, ptr %register, ptr %state)
  ret i32 %skip
no:
  ret i32 0
}

define internal i1 @is_counter(ptr %register) {
  ; Python sees only the timers and the PMU's counters, CRn 14 with op1 3; all else is none of ours
  %crn = load i32, ptr %register
  %op1_at = getelementptr i32, ptr %register, i64 3
  %op1 = load i32, ptr %op1_at
  %crn_14 = icmp eq i32 %crn, 14
  %op1_3 = icmp eq i32 %op1, 3
  %ours = and i1 %crn_14, %op1_3
  ret i1 %ours
}

define internal i1 @tell_time(ptr %uc, i32 %number, ptr %register, ptr %state) {
  ; CNTPCT_EL0 or CNTVCT_EL0, read at EL1: no more than the index and what was skipped
  %crm_at = getelementptr i32, ptr %register, i64 1
  %crm = load i32, ptr %crm_at
  %op2_at = getelementptr i32, ptr %register, i64 4
  %op2 = load i32, ptr %op2_at
  %crm_0 = icmp eq i32 %crm, 0
  %op2_less_1 = sub i32 %op2, 1
  %op2_1_or_2 = icmp ult i32 %op2_less_1, 2
  %tick_at = getelementptr i64, ptr %state, i64 TICK
  %tick = load i64, ptr %tick_at
  %known = icmp ne i64 %tick, 0
  %counter = and i1 %crm_0, %op2_1_or_2
  %ours = and i1 %counter, %known
  br i1 %ours, label %level, label %no
level:
  %mode_at_at = getelementptr i64, ptr %state, i64 MODE_AT
  %mode_at = load ptr, ptr %mode_at_at
  %mode = load i32, ptr %mode_at
  %el = and i32 %mode, 12
  %at_el0 = icmp eq i32 %el, 0
  br i1 %at_el0, label %no, label %tell
tell:
  %index = load i64, ptr %state
  %last_start_at = getelementptr i64, ptr %state, i64 LAST_START
  %last_start = load i64, ptr %last_start_at
  %last_size_at = getelementptr i64, ptr %state, i64 LAST_SIZE
  %last_size = load i64, ptr %last_size_at
  %end = add i64 %last_start, %last_size
  %pc_at_at = getelementptr i64, ptr %state, i64 PC_AT
  %pc_at = load ptr, ptr %pc_at_at
  %pc = load i64, ptr %pc_at
  %bytes = sub i64 %end, %pc
  %ahead = ashr i64 %bytes, 2
  %here = sub i64 %index, %ahead
  %skipped_at_at = getelementptr i64, ptr %state, i64 SKIPPED_AT
  %skipped_at = load ptr, ptr %skipped_at_at
  %skipped = load i64, ptr %skipped_at
  %time = add i64 %here, %skipped
  %ticks = udiv i64 %time, %tick
  %value_at = alloca i64
  store i64 %ticks, ptr %value_at
  %write = inttoptr i64 REG_WRITE to ptr
  %ignored = call i32 %write(ptr %uc, i32 %number, ptr %value_at)
  ret i1 true
no:
  ret i1 false
}
