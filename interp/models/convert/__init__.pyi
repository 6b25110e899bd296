from ._convert import Conversion as Conversion
from ._convert import Kind as Kind
from ._convert import convert as convert
