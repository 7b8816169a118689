# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.initializers.constant import Constant as Constant
from mlkit.initializers.constant import Constant as constant
from mlkit.initializers.constant import Identity as Identity
from mlkit.initializers.constant import Identity as IdentityInitializer
from mlkit.initializers.constant import Identity as identity
from mlkit.initializers.constant import Ones as Ones
from mlkit.initializers.constant import Ones as ones
from mlkit.initializers.constant import STFT as STFT
from mlkit.initializers.constant import STFT as STFTInitializer
from mlkit.initializers.constant import STFT as stft
from mlkit.initializers.constant import Zeros as Zeros
from mlkit.initializers.constant import Zeros as zeros
from mlkit.initializers.initializer import Initializer as Initializer
from mlkit.initializers.random import GlorotNormal as GlorotNormal
from mlkit.initializers.random import GlorotNormal as glorot_normal
from mlkit.initializers.random import GlorotUniform as GlorotUniform
from mlkit.initializers.random import GlorotUniform as glorot_uniform
from mlkit.initializers.random import HeNormal as HeNormal
from mlkit.initializers.random import HeNormal as he_normal
from mlkit.initializers.random import HeUniform as HeUniform
from mlkit.initializers.random import HeUniform as he_uniform
from mlkit.initializers.random import LecunNormal as LecunNormal
from mlkit.initializers.random import LecunNormal as lecun_normal
from mlkit.initializers.random import LecunUniform as LecunUniform
from mlkit.initializers.random import LecunUniform as lecun_uniform
from mlkit.initializers.random import Orthogonal as Orthogonal
from mlkit.initializers.random import Orthogonal as OrthogonalInitializer
from mlkit.initializers.random import Orthogonal as orthogonal
from mlkit.initializers.random import RandomNormal as RandomNormal
from mlkit.initializers.random import RandomNormal as random_normal
from mlkit.initializers.random import RandomUniform as RandomUniform
from mlkit.initializers.random import RandomUniform as random_uniform
from mlkit.initializers.random import TruncatedNormal as TruncatedNormal
from mlkit.initializers.random import TruncatedNormal as truncated_normal
from mlkit.initializers.random import VarianceScaling as VarianceScaling
from mlkit.initializers.random import VarianceScaling as variance_scaling
from typing import Any

def deserialize(config: Any, custom_objects: dict[str, Any] | None=None) -> Any: ...
def get(identifier: Any) -> Any: ...
def serialize(initializer: Any) -> Any: ...
