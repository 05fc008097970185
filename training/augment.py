"""The rows of one epoch: those of the data set, some made from them, and some of all rewritten."""

import random
from collections.abc import Sequence

from training.contrast import turned, turned_rows
from training.data import Row
from training.frames import framed, judgements
from training.recipe import Recipe
from training.surface import contracted, mistyped, natural, paragraphs

_PARAGRAPH_SIZES = (2, 3, 4, 5)


class Augmentation:
    """Draws each epoch's rows anew, as many each time; one seed and epoch give the same rows."""

    def __init__(
        self,
        rows: list[Row],
        sentences: list[Row],
        recipe: Recipe,
        seed: int,
        transfer: Sequence[Row] = (),
    ) -> None:
        self.sentences, self.recipe, self.seed = sentences, recipe, seed
        self.transfer = list(transfer)
        whole = set(sentences)
        self.phrases = [row for row in rows if row not in whole]
        self.count = len(sentences) + len(self.phrases)
        self.turnable = turned_rows(rows)
        self.judgements = judgements(rows)

    def epoch(self, epoch: int) -> list[Row]:
        chance = random.Random(f"{self.seed}/{epoch}/rows")
        recipe, count = self.recipe, self.count
        made = self.sentences + chance.sample(self.phrases, len(self.phrases))
        turns = round(count * recipe.turned_share) if self.turnable else 0
        sample = chance.choices(self.turnable, k=turns)
        made += [row for row in (turned(row, chance) for row in sample) if row]
        made += framed(self.judgements, round(count * recipe.framed_share), chance)
        made += paragraphs(
            self.sentences, _PARAGRAPH_SIZES, round(count * recipe.paragraph_share), chance
        )
        made += self.transfer
        return [row._replace(text=self._rewritten(row.text, chance)) for row in made]

    def _rewritten(self, text: str, chance: random.Random) -> str:
        if chance.random() < self.recipe.natural_share:
            text = contracted(text) if chance.random() < 0.5 else natural(text)
        if chance.random() < self.recipe.typo_share:
            text = mistyped(text, chance.choice((1, 2)), chance)
        return text
