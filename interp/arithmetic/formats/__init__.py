"""Formats: problems written as text and read back, with a role for every character.

>>> from interp.arithmetic.tasks import Addition
>>> problems = Addition(3).problems([12], [34])
>>> format("plain").render(problems)[0].text
'12+34=46'
>>> format("padded").parse("012+034=0046", Addition(3)) == problems
True

`format(name)` finds a format, `format_names(task)` lists those that can write a task, and
`few_shot(base, examples)` puts solved examples in front (`plain@2:7`).
"""

from interp.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
