from .recipe import AdapterRecipe as AdapterRecipe
