"""How XLA compiles for tests: they compile far more than they compute."""

import jax

_WANTED = dict(
    xla_backend_optimization_level=0,
    xla_llvm_disable_expensive_passes=True,
    xla_cpu_use_fusion_emitters=False,  # they take four times as long to compile
    xla_cpu_parallel_codegen_split_count=1,
    xla_disable_hlo_passes="constant_folding",  # it interprets what large constants go through
    xla_allow_excess_precision=False,  # JAX rounds where the program does
)


def _is_known(name, value):
    """Whether this JAX has the option: they come and go."""
    try:
        jax.jit(lambda x: x, compiler_options={name: value})(1.0)
    except jax.errors.JaxRuntimeError:
        return False
    return True


# for one call of jax.jit, where an option is refused by an exception; an unknown flag of the environment ends the process
QUICK = {name: value for name, value in _WANTED.items() if _is_known(name, value)}
