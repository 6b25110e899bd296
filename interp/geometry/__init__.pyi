from ._modular import modular as modular
