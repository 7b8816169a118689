"""The compiler: passes over graphs, and the plan of their memory. Imports core and primitives."""
