// SPDX-License-Identifier: GPL-2.0-or-later
//
// Async page fault, the guest's side (the series for KVM/arm64, v4).
//
// A page of ours may be with the host's swap, or on another machine. When a thread touches it, the
// host would have to let the whole CPU wait. Instead it tells us, and we run another thread:
//
//      host    the page is missing: token and reason 1 into the shared block, an SDEI event
//      guest   apf_not_present: remember which thread waits for that token; SGI to ourselves
//      guest   the SGI's way back to EL0 finds the thread waiting, and puts it to sleep (apf_wait)
//      ...     others run
//      host    the page is there: token and reason 2 into the block, a PPI
//      guest   apf_interrupt: wake that thread; tell the host that we did (IRQ_ACK)
//
// The faulting instruction is executed again only then. The event comes before the instruction can
// be executed again, whatever is masked; and an SDEI handler must not schedule, for it may have
// interrupted anything: hence the detour by the SGI.
//
// Two kinds of host differ from that. One without SDEI uses the PPI for both. One by the rules of
// x86 has two mailboxes in the block: page-ready's is the token at 0x04 alone, and the token of
// page-not-present is at 0x08. Under both a page may be ready before we have heard that it is not.

#include "kernel.h"

#define VENDOR_UID          0x8600ff01
#define VENDOR_FEATURES     0x86000000
#define ASYNC_PF            0x86000002  // service 2
#define ASYNC_PF_IRQ_ONLY   0x86000042  // service 66

// Sub-functions, in x1. Without SDEI there is no SUB_SDEI, and those after it are one less.
enum { SUB_VERSION, SUB_SLOTS, SUB_SDEI, SUB_IRQ, SUB_ENABLE, SUB_ACK };

enum { NOT_PRESENT = 1, READY = 2 };    // the reason word
#define EVERYBODY           0xffffffff  // the token that means all
#define ENABLED             1           // in the control word, beside the block's address

enum { HANDLED, FAILED };               // what SDEI_EVENT_COMPLETE is told
enum { TRUTH, LIE_BLOCK, LIE_EVENT, LIE_TOKEN };    // option lie=

static struct apf_block blocks[MAX_CPUS], decoys[MAX_CPUS];

static struct answer ask(u64 sub_function, u64 word)
{
    if (results.apf_function == ASYNC_PF_IRQ_ONLY && sub_function > SUB_SDEI)
        sub_function--;
    return hypercall(results.apf_function, sub_function, word & 0xffffffff, word >> 32);
}

static int by_event(void)
{
    return results.apf_function == ASYNC_PF;
}

static int is_kvm(void)
{
    struct answer uid = hypercall(VENDOR_UID, 0, 0, 0);
    return (u32)uid.x[0] == 0xb66fb428 && (u32)uid.x[1] == 0xe911c52e
        && (u32)uid.x[2] == 0x564bcaa9 && (u32)uid.x[3] == 0x743a004d;
}

// apf_discover: on the first CPU. Asks who the hypervisor is, what it offers, and in which version.
void apf_discover(void)
{
    if (!options.apf) {
        print("async page fault: switched off\n");
        return;
    }
    if (is_kvm()) {
        struct answer features = hypercall(VENDOR_FEATURES, 0, 0, 0);
        if (features.x[0] >> 2 & 1)
            results.apf_function = ASYNC_PF;
        else if (features.x[2] >> 2 & 1)
            results.apf_function = ASYNC_PF_IRQ_ONLY;
    }
    if (!results.apf_function) {
        print("async page fault: not offered\n");
        return;
    }
    struct answer version = ask(SUB_VERSION, 0);
    if (version.x[0] || version.x[1] >> 24 || version.x[1] >> 16 == 0) {
        print("async page fault: version 0x%x is not ours\n", version.x[1]);
        results.apf_function = 0;
        return;
    }
    if (by_event())
        results.apf_event = ask(SUB_SDEI, 0).x[1];
    print("async page fault: %u slots, event 0x%x, interrupt %u\n",
          ask(SUB_SLOTS, 0).x[1], results.apf_event, ask(SUB_IRQ, 0).x[1]);
}

// Get a handler for the event; returns an error.
static s64 register_event(struct cpu *cpu)
{
    extern char sdei_entry[];
    s64 error = call(SDEI_EVENT_REGISTER, results.apf_event, (u64)sdei_entry, (u64)cpu);
    if (!error)
        error = call(SDEI_EVENT_ENABLE, results.apf_event, 0, 0);
    if (!error)
        error = call(SDEI_PE_UNMASK, 0, 0, 0);
    return error;
}

// apf_start: on each CPU. The handler and the interrupt first, or we would miss what comes.
void apf_start(struct cpu *cpu)
{
    struct apf_block *block = &blocks[cpu->number];
    if (!results.apf_function)
        return;
    u64 number = ask(SUB_IRQ, 0).x[1];
    if (number >= 16 && number < 32) {
        cpu->apf_interrupt = number;
        enable_interrupt(cpu, number, 1);
    }
    s64 error = 0;
    if (by_event() && options.lie != LIE_EVENT)
        error = register_event(cpu);
    if (error)
        print("CPU %u: event 0x%x cannot be registered\n", cpu->number, results.apf_event);

    struct apf_block *told = options.lie == LIE_BLOCK ? &decoys[cpu->number] : block;
    if (!error && (s64)ask(SUB_ENABLE, (u64)told | ENABLED).x[0] == 0) {
        block->enabled = 1;
        atomic_add(&results.apf_cpus, 1ul << cpu->number);
    } else {
        print("CPU %u: async page fault cannot be enabled\n", cpu->number);
    }
}

// apf_stop: the other way round. What is in flight is forgotten; whoever sleeps, sleeps for ever.
void apf_stop(struct cpu *cpu)
{
    struct apf_block *block = &blocks[cpu->number];
    if (!block->enabled)
        return;
    block->enabled = 0;
    ask(SUB_ENABLE, 0);
    if (by_event()) {
        call(SDEI_EVENT_DISABLE, results.apf_event, 0, 0);
        call(SDEI_EVENT_UNREGISTER, results.apf_event, 0, 0);
    }
    enable_interrupt(cpu, cpu->apf_interrupt, 0);
}

// -- the table of who waits for what

static struct apf_entry *find(struct cpu *cpu, u64 used, u64 token)
{
    for (u64 n = 0; n < APF_ENTRIES; n++)
        if (cpu->apf[n].used == used && (!used || cpu->apf[n].token == token))
            return &cpu->apf[n];
    return 0;
}

// bind: let the running thread wait for a token. Returns 0 if it need not, or cannot: then it tries
// again, and the host must cope.
static int bind(struct cpu *cpu, u64 token)
{
    struct thread *thread = cpu->current;
    struct apf_entry *entry = find(cpu, 1, token);
    if (entry && !entry->thread) {      // the page was faster
        entry->used = 0;
        counters()->ready_before_sleep++;
        return 0;
    }
    entry = find(cpu, 0, 0);
    if (!entry || thread->apf) {
        counters()->table_full++;
        return 0;
    }
    entry->used = 1;
    entry->token = token;
    entry->thread = thread;
    thread->apf = entry;
    return 1;
}

// release: free an entry, and let its thread go on.
static void release(struct apf_entry *entry)
{
    struct thread *thread = entry->thread;
    entry->used = 0;
    if (!thread)
        return;
    entry->thread = 0;
    thread->apf = 0;
    probe_wake(thread->id, entry->token);
    if (!wake_first(&entry->queue))
        counters()->ready_before_sleep++;
}

static void ready(struct cpu *cpu, u64 token, int remember)
{
    if (token == EVERYBODY) {
        counters()->wake_alls++;
        for (u64 n = 0; n < APF_ENTRIES; n++)
            if (cpu->apf[n].used)
                release(&cpu->apf[n]);
        return;
    }
    if (options.lie == LIE_TOKEN)
        token += 1 << 12;               // the one after it
    struct apf_entry *entry = find(cpu, 1, token);
    if (entry && entry->thread) {
        release(entry);
        return;
    }
    counters()->unknown++;
    if (remember && !entry && (entry = find(cpu, 0, 0))) {
        entry->used = 1;
        entry->token = token;
        entry->thread = 0;
    }
}

// -- what the host tells

// Take what the mailbox says of a missing page; returns whether the thread is to wait.
static int take_not_present(struct cpu *cpu, struct apf_block *block)
{
    u64 other = block->other_token;
    int waits = bind(cpu, other ? other : block->token);
    counters()->not_present++;
    if (other)
        block->other_token = 0;
    else
        block->token = 0;
    __atomic_store_n(&block->reason, 0, __ATOMIC_RELEASE);
    return waits;
}

// apf_not_present: the handler of the SDEI event, on its own stack (vectors.S). It may have
// interrupted the kernel, so it touches only what is this CPU's own, and only if it did not.
u64 apf_not_present(u64 event, struct cpu *cpu, u64 pc, u64 pstate)
{
    struct apf_block *block = &blocks[cpu->number];
    (void)event, (void)pc;
    if ((pstate & 0xf) != 0 || block->reason != NOT_PRESENT) {
        counters()->unexpected++;
        return FAILED;
    }
    if (!take_not_present(cpu, block))
        return FAILED;
    send_sgi(cpu, SGI_RESCHEDULE);
    return HANDLED;
}

// apf_interrupt: the PPI. A page is ready; or, where there is no SDEI event, a page is missing.
void apf_interrupt(struct cpu *cpu)
{
    struct apf_block *block = &blocks[cpu->number];
    u64 reason = block->reason, token = block->token;
    if (reason == READY) {
        ready(cpu, token, !by_event());
        block->token = 0;
        __atomic_store_n(&block->reason, 0, __ATOMIC_RELEASE);
    } else if (reason == NOT_PRESENT && !by_event()) {
        take_not_present(cpu, block);
    } else if (token && by_event()) {   // page-ready's own mailbox
        ready(cpu, token, 1);
        block->token = 0;
    } else {
        counters()->unexpected++;
    }
    if (options.noack)
        enable_interrupt(cpu, cpu->apf_interrupt, 0);   // or it would interrupt for ever
    else
        ask(SUB_ACK, 0);
}

// apf_wait: a thread on its way to EL0 sleeps until its page is there.
void apf_wait(struct thread *thread)
{
    counters()->sleeps++;
    work[thread->id].sleeps++;
    probe_sleep(thread->id, thread->apf->token);
    while (thread->apf)
        sleep_on(&thread->apf->queue);
}
