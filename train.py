"""Fine-tune a classifier on paintings: python train.py head=replace_two

conf/ has every choice; brushwork/training/recipe.py is the recipe: data, model, callbacks, trainer, fit, test.
"""

import sys

try:
    from brushwork.training.command import main
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed: run make install, then .venv/bin/python train.py ...")

if __name__ == "__main__":
    main()
