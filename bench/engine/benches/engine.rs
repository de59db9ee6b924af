//! The engine alone: jobs per second through `Engine::step`, and allocations. `cargo bench -p clockout-engine-cost`.

use std::cell::RefCell;

use clockout_engine_cost::{JOBS_AT_ONCE, Rig, Scenario};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATIONS: AllocProfiler<mimalloc::MiMalloc> = AllocProfiler::new(mimalloc::MiMalloc);

fn main() {
    divan::main();
}

/// [`JOBS_AT_ONCE`] jobs, again and again.
#[divan::bench(args = [Scenario::Runs, Scenario::Interleaved, Scenario::FullMemory, Scenario::Retries])]
fn jobs(bencher: Bencher<'_, '_>, scenario: Scenario) {
    let rig = RefCell::new(Rig::warm(scenario));
    bencher
        .counter(ItemsCount::new(JOBS_AT_ONCE))
        .with_inputs(|| rig.borrow().next_jobs())
        .bench_local_values(|jobs| rig.borrow_mut().settle(jobs));
}
