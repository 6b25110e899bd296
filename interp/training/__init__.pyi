from .adapters import AdapterRecipe as AdapterRecipe
from .build import (
    build_model as build_model,
)
from .build import (
    build_tokenizer as build_tokenizer,
)
from .card import (
    Card as Card,
)
from .card import (
    write_card as write_card,
)
from .learning import (
    digit_losses as digit_losses,
)
from .learning import (
    dynamics as dynamics,
)
from .logs import read_log as read_log
from .loop import (
    Trained as Trained,
)
from .loop import (
    train as train,
)
from .recipes import (
    Draw as Draw,
)
from .recipes import (
    Recipe as Recipe,
)
from .recipes import (
    draw as draw,
)
from .recipes import (
    recipe as recipe,
)
from .recipes import (
    recipe_names as recipe_names,
)
from .run import Validation as Validation
