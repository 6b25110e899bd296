from .key import AnswerKey as AnswerKey
from .key import Edge as Edge
from .key import HeadFact as HeadFact
from .mechanisms import kinds as kinds
from .planted import Planted as Planted
from .planted import build as build
from .planted import read_key as read_key
