"""Contrast pairs: short rows of SST-2 whose meaning a simple rule turns round."""

import random
import re

from training.data import NEGATIVE, POSITIVE, Row

_LONGEST = 12
# A row with one of these may already turn its meaning, or ask, and would come out wrong.
_UNSAFE = re.compile(
    r"n't|,$"
    r"|\b(not|no|never|nor|neither|none|nothing|nobody|without|hardly|barely|rarely|few|little"
    r"|less|least|but|yet|though|although|despite|while|if|would|could|should|may|might|too|only"
    r"|because|like|even|still|just|lack|lacks|lacking|fails?|than|beyond|from)\b"
    r"|\b(is|was|are|were) (it|he|she|they|this|that|there|to)\b"
)
_COPULA = re.compile(
    r"\b(is|was|are|were)\b|(?<=\w) '(?:s|re)(?= (?:an?|the|so|very|really|quite)\b)"
)
_NOUN_PHRASE = re.compile(
    r"^an? (?!more|less|most|lot|bit)(?!.* (has|have|had|that|which|who|as)\b)"
)
# Parts of sentences that SST-2 cut before their noun: "labored , and", "a gleefully".
_UNFINISHED = re.compile(r"(,|\band|\bor|\ban?|\bthe|ly)$")
_DENIALS = ("not", "hardly", "far from", "anything but", "by no means")
# Two denials of a bad word are praise only when they are outright.
_OUTRIGHT = ("not", "anything but", "by no means")


def turned(row: Row, chance: random.Random) -> Row | None:
    """The row with its meaning turned round, or nothing where no rule is safe."""
    if len(row.text.split()) > _LONGEST or _UNSAFE.search(row.text):
        return None
    label = NEGATIVE if row.label == POSITIVE else POSITIVE
    copulas = list(_COPULA.finditer(row.text))
    if len(copulas) == 1:
        at = copulas[0].end()
        verb = copulas[0].group().strip()
        forms = [" not", " n't"] if verb in ("is", "was", "are", "were") else [" not"]
        if label == NEGATIVE:
            forms += [" hardly", " never"]
        return Row(row.text[:at] + chance.choice(forms) + row.text[at:], label)
    if not copulas and _NOUN_PHRASE.match(row.text):
        denial = chance.choice(_DENIALS if label == NEGATIVE else _OUTRIGHT)
        return Row(f"{denial} {row.text}", label)
    return None


def complement(text: str) -> str | None:
    """What the text says of its subject ("is X"), or the noun phrase it is; if safe to turn."""
    if _UNSAFE.search(text):
        return None
    copulas = list(_COPULA.finditer(text))
    if len(copulas) == 1 and copulas[0].group() in ("is", "was"):
        said = text[copulas[0].end() :]
    elif not copulas and _NOUN_PHRASE.match(text):
        said = text
    else:
        return None
    said = said.strip(" .")
    return None if _UNFINISHED.search(said) else said or None


def turned_rows(rows: list[Row]) -> list[Row]:
    """The rows that a rule can turn: `turned` gives a row for each."""
    return [row for row in rows if turned(row, random.Random(0))]
