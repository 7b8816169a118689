"""How XLA compiles for tests: they compile far more than they compute."""

# for one call of jax.jit: an option that some JAX does not know is an exception there, where an unknown flag ends the process
QUICK = dict(
    xla_backend_optimization_level=0,
    xla_llvm_disable_expensive_passes=True,
    xla_cpu_use_fusion_emitters=False,  # they take four times as long to compile
    xla_cpu_parallel_codegen_split_count=1,
    xla_disable_hlo_passes="constant_folding",  # it interprets what large constants go through
    xla_allow_excess_precision=False,  # JAX rounds where the program does
)
