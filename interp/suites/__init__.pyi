from ._approximation import approximation as approximation
from ._cookbook import cookbook as cookbook
from ._noisy_prefix import noisy_prefix as noisy_prefix
