"""The code of a model's id: every module that can change a number is in it."""

from pathlib import Path

import training_service
from training_service.code import _MODULES

WITHOUT_A_SAY = {
    "__init__", "again", "card", "card_view", "code", "exchange", "feature_choice", "leak_proof", "libraries", "load",
    "main", "model_files", "model_folder", "options", "placebo", "plan", "report_text", "score_rows", "train", "tries",
    "worth",
}  # fmt: skip
"""They read, write, show, or run what the others compute; what they decide stands in parameters and inputs."""


def test_a_module_is_part_of_the_code_or_said_to_have_no_say() -> None:
    folder = Path(training_service.__file__).parent
    counted = set(_MODULES)
    assert {path.stem for path in folder.glob("*.py")} == counted | WITHOUT_A_SAY
    assert not counted & WITHOUT_A_SAY
