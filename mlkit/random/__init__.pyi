# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.objects.seed_generator import SeedGenerator as SeedGenerator
from mlkit.objects.seed_generator import draw_seed as draw_seed
from mlkit.objects.seed_generator import global_seed_generator as global_seed_generator
from mlkit.objects.seed_generator import set_global_seed as set_global_seed
from mlkit.random.rejection_samplers import beta as beta
from mlkit.random.rejection_samplers import binomial as binomial
from mlkit.random.rejection_samplers import gamma as gamma
from mlkit.random.samplers import categorical as categorical
from mlkit.random.samplers import dropout as dropout
from mlkit.random.samplers import normal as normal
from mlkit.random.samplers import randint as randint
from mlkit.random.samplers import shuffle as shuffle
from mlkit.random.samplers import truncated_normal as truncated_normal
from mlkit.random.samplers import uniform as uniform
