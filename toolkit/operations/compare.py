"""``models compare``: what models have in common, without running them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from toolkit.errors import ToolkitError, UnsupportedError, UsageError
from toolkit.merging.relatedness import Likeness, Products, kernel_products, likeness
from toolkit.merging.stages.conform import RenamedTensors, card_differences
from toolkit.model import Model
from toolkit.model.correspondence import correspondence, differences, signature
from toolkit.model.graph_form import in_graph_form, values_digest
from toolkit.model.orientation import transposed
from toolkit.operations.open_model import open_model
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.compare import CompareModels
from toolkit.tensors import TensorRole, Tensors, weights_digest
from toolkit.vocabulary import Convention, Progress

_DESCRIBED = 10  # models; the differences of every two of many more would be read by nobody
_SURELY_ALIKE = 0.8


@dataclass(frozen=True)
class ComparedModel:
    """One file.

    Attributes:
        problem: Why it cannot be compared; empty if it can. Then everything below is known.
        network: A letter that networks share if they are equal but for names and weights.
        input_shape: Without the batch axis.
        classes: Number of outputs.
        convention: From its card; None if unknown.
        parameters: Number of float elements.
        digest: Weights digest.
        same_weights_as: An earlier file with the same weights, in any format; None if there is none.
    """

    path: Path
    problem: str = ""
    network: str = ""
    input_shape: tuple[int, ...] = ()
    classes: int = 0
    convention: Convention | None = None
    parameters: int = 0
    digest: str = ""
    same_weights_as: Path | None = None


@dataclass(frozen=True)
class ComparedPair:
    """Two models beside each other.

    Attributes:
        same_topology: Whether the networks are equal but for the names of their layers.
        same_weights: Whether all weights are equal, however the files store them.
        differences: What distinguishes the second, as sentences; of more than 10 models, without details.
        related: Whether their kernels have a common ancestor; None if the networks differ.
        transposed: Whether one of them was rewritten for transposed images to find out, because its
            kernels are more like the other's then.
        cosine: Median of the cosines of their kernels, -1 to 1; None if the networks differ.
        distance: Length of the difference of their kernels over the mean of their lengths:
            0 for copies, about 1.4 for unrelated models; None if the networks differ.
        by_kernel: The cosine of each kernel, by its name in the first.
    """

    first: Path
    second: Path
    same_topology: bool
    same_weights: bool
    differences: tuple[str, ...]
    related: bool | None = None
    transposed: bool = False
    cosine: float | None = None
    distance: float | None = None
    by_kernel: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelComparison:
    """Every model, and every two of those that can be read."""

    models: tuple[ComparedModel, ...]
    pairs: tuple[ComparedPair, ...]


def compare_models(toolkit: Resources, request: CompareModels, progress: Progress) -> ModelComparison:
    """Compare every two of the given models.

    Equal shapes prove nothing. Whether two networks of one topology are related is decided by their
    kernels; only images show whether a merge helps. A file that cannot be read is listed with the reason.

    Raises:
        UsageError: If fewer than two models are given.
        ToolkitError: Of the first file, if none can be read.
    """
    if len(request.models) < 2:
        raise UsageError(f"{len(request.models)} model given to compare", hint="name two or more")
    progress.note("reading the models")
    read: list[_Read] = []
    problems: dict[int, ToolkitError] = {}
    for place, path in enumerate(request.models):
        try:
            read.append(_Read.of(place, path, open_model(toolkit, path, request.arch)))
        except ToolkitError as error:
            problems[place] = error
    if not read:
        raise problems[0]
    groups = [list(group) for _, group in itertools.groupby(sorted(read, key=_by_signature), _by_signature)]
    groups.sort(key=lambda group: group[0].place)
    letters = {item.place: _letter(number) for number, group in enumerate(groups) for item in group}
    values: dict[int, str] = {}
    within = {pair: found for group in groups for pair, found in _group(group)}
    pairs = []
    for one, other in itertools.combinations(read, 2):
        found = within.get((one.place, other.place))
        same = found.same_weights if found else _same_values(one, other, values)
        pair = ComparedPair(
            one.path, other.path, found is not None, same, _differences(one, other, len(read))
        )
        if found is not None:
            pair = dataclasses.replace(
                pair,
                related=found.likeness.related or same,
                transposed=found.transposed,
                cosine=found.likeness.cosine,
                distance=found.likeness.distance,
                by_kernel=found.likeness.by_kernel,
            )
        pairs.append(pair)
    original = {pair.second: pair.first for pair in reversed(pairs) if pair.same_weights}
    rows = {item.place: item.row(letters[item.place], original.get(item.path)) for item in read}
    return ModelComparison(
        tuple(
            rows.get(place) or ComparedModel(path, str(problems[place]))
            for place, path in enumerate(request.models)
        ),
        tuple(pairs),
    )


@dataclass(frozen=True)
class _Read:
    """A model that was read; ``plain`` is its graph form."""

    place: int
    path: Path
    model: Model
    plain: Model
    signature: str
    digest: str

    @classmethod
    def of(cls, place: int, path: Path, model: Model) -> _Read:
        plain = in_graph_form(model)
        return cls(place, path, model, plain, signature(plain), weights_digest(model.tensors))

    def row(self, network: str, same_as: Path | None) -> ComparedModel:
        model = self.model
        return ComparedModel(
            self.path,
            network=network,
            input_shape=model.input_shape,
            classes=model.classes if model.output_shape else 0,
            convention=model.card.convention,
            parameters=model.parameters,
            digest=self.digest,
            same_weights_as=same_as,
        )


@dataclass(frozen=True)
class _Found:
    """What two networks of one topology have in common."""

    same_weights: bool
    likeness: Likeness
    transposed: bool


def _group(group: Sequence[_Read]) -> Iterator[tuple[tuple[int, int], _Found]]:
    """Every two networks of one topology."""
    if len(group) < 2:
        return
    first = group[0].plain
    tensors = [_named_alike(first, item.plain) for item in group]
    digests = [weights_digest(each) for each in tensors]
    products = kernel_products(tensors)
    turned: Callable[[], Products | None] = _once(lambda: _with_transposed(first, group, tensors))
    count = len(group)
    for i, j in itertools.combinations(range(count), 2):
        found, moved = likeness(products, i, j), False
        ours, theirs = (group[place].model.card.convention for place in (i, j))
        known_alike = ours is not None and theirs is not None and ours.orientation == theirs.orientation
        # Symmetric kernels are alike although one is transposed: the better of the two counts.
        if not known_alike and _cosine(found) < _SURELY_ALIKE and (both := turned()) is not None:
            other = likeness(both, i, count + j)
            found, moved = (other, True) if _cosine(other) > _cosine(found) else (found, False)
        yield (group[i].place, group[j].place), _Found(digests[i] == digests[j], found, moved)


def _cosine(found: Likeness) -> float:
    return -1.0 if found.cosine is None else found.cosine


def _with_transposed(first: Model, group: Sequence[_Read], tensors: Sequence[Tensors]) -> Products | None:
    """Products of all networks, and of all of them rewritten for transposed images."""
    try:
        moved = [_named_alike(first, transposed(item.plain)) for item in group]
    except UnsupportedError:
        return None
    return kernel_products([*tensors, *moved])


def _named_alike(first: Model, other: Model) -> Tensors:
    """The tensors of a network of the same topology, under the first one's names."""
    found = correspondence(first, other)
    assert found is not None  # the signatures are equal
    return RenamedTensors(other.tensors, found, first.tensors)


def _same_values(one: _Read, other: _Read, known: dict[int, str]) -> bool:
    """Whether networks that are not matched have the same numbers; ``known`` keeps their digests."""
    if _kernel_shapes(one) != _kernel_shapes(other):
        return False
    for item in (one, other):
        if item.place not in known:
            known[item.place] = values_digest(item.plain)
    return known[one.place] == known[other.place] != ""


def _once(make: Callable[[], Products | None]) -> Callable[[], Products | None]:
    done: list[Products | None] = []

    def get() -> Products | None:
        if not done:
            done.append(make())
        return done[0]

    return get


def _differences(one: _Read, other: _Read, count: int) -> tuple[str, ...]:
    cards = tuple(card_differences(other.model.card, one.model.card, one.path.name))
    if one.signature == other.signature and one.model.dialect == other.model.dialect:
        return cards
    if count > _DESCRIBED:
        return ("is another network", *cards)
    if one.signature == other.signature:
        return (f"stores its tensors in another way than {one.path.name}: another format", *cards)
    found = differences(one.model, other.model, one.path.name)
    return (*_folded(one, other), *found, *cards)


def _folded(one: _Read, other: _Read) -> Iterator[str]:
    """Whether the one is perhaps an export of the other with batch normalisation folded."""
    if one.model.dialect == other.model.dialect or _kernel_shapes(one) != _kernel_shapes(other):
        return
    counts = [_normalisations(item) for item in (one, other)]
    if counts[0] != counts[1]:
        fewer, more = (one, other) if counts[0] < counts[1] else (other, one)
        yield (
            f"cannot be compared by weights: {fewer.path.name} has no batch normalisation where "
            f"{more.path.name} has it, so it may be folded into the kernels"
        )


def _kernel_shapes(item: _Read) -> list[tuple[int, ...]]:
    specs = item.plain.tensors.specs.values()
    return sorted(tuple(sorted(spec.shape)) for spec in specs if spec.role is TensorRole.KERNEL)


def _normalisations(item: _Read) -> int:
    return sum(node.operator == "BatchNormalization" for node in item.plain.describe_graph().nodes)


def _by_signature(item: _Read) -> str:
    return item.signature


def _letter(number: int) -> str:
    """A, B, …, Z, AA, AB, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
