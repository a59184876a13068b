"""``merge``: one model of several."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from toolkit.declarations import MergeStrategy, ModelFormat, Need
from toolkit.errors import LimitReachedError, PluginError, StorageError, UnsupportedError, UsageError, shown
from toolkit.host.kinds import MERGE_STRATEGIES, MODEL_FORMATS
from toolkit.host.read_model import reader_of
from toolkit.merging import stages
from toolkit.merging.ingredients import printable
from toolkit.merging.outputs import Outputs
from toolkit.merging.pipeline import Outcome, plan, run
from toolkit.merging.problems import Problem
from toolkit.merging.problems import listing as listing  # these three are for the command line
from toolkit.merging.problems import refusal as refusal
from toolkit.merging.recipe import Recipe, RecipeIngredient, check_digests, read_recipe, relative
from toolkit.merging.report import MergeReport as MergeReport
from toolkit.merging.report import make_report
from toolkit.merging.stages import conform, recalibrate
from toolkit.merging.state import Images, MergeState
from toolkit.model import Card, Parent
from toolkit.model.saving import save_model
from toolkit.operations.merge_inputs import Models, choose_images, choose_models
from toolkit.operations.resources import Resources
from toolkit.operations.understanding import Understood, understand
from toolkit.options import options_as_json, options_from_mapping, route_options
from toolkit.records import dataclass
from toolkit.requests.merge import WITHOUT_DATASET, Merge
from toolkit.store import exclusive
from toolkit.store.opening import real_path
from toolkit.vocabulary import Convention, Progress

MOST_MODELS = 1000


@dataclass(frozen=True)
class Merged:
    """A merge that was planned or carried out.

    ``recipe`` is the request with every default resolved. Only a plan has ``problems``; only a merge has
    a ``report`` and files: the model at ``path``, the report as HTML and as JSON.
    ``failure`` says why the report could not be written.
    """

    status: Literal["planned", "published", "published, report failed"]
    recipe: Recipe
    problems: tuple[Problem, ...] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    report: MergeReport | None = None
    path: Path | None = None
    report_html: Path | None = None
    report_json: Path | None = None
    recipe_file: Path | None = None
    failure: str = ""


def merge(toolkit: Resources, request: Merge, progress: Progress) -> Merged:
    """Merge models: plan, run the stages, compare with the best ingredient, save.

    The problems of a plan are listed in it; those of a merge are raised.

    Raises:
        IncompatibleModelsError: With every problem, if the models cannot be merged.
        WorseMergeError: If the result is worse than its best ingredient.
        PlanRefusedError: If the strategy's needs are not met.
        UsageError: If an option is wrong, or the output is a file of the user's.
        MissingInputError: If there is nothing to merge, or a data set does not exist.
        DamagedFileError: If an ingredient's digest differs from its card's or the recipe's.
        BusyError: If another merge writes the same output.
        StorageError: If the model cannot be written; what was there is kept.
    """
    started = time.monotonic()
    if request.keep_worse and request.or_best:
        raise UsageError("--keep-worse and --or-best exclude each other", hint="give one of them")
    recipe = None if request.recipe is None else read_recipe(request.recipe)
    if recipe is not None:
        request = _from_recipe(request, recipe)
    if len(request.models) > MOST_MODELS:
        raise LimitReachedError(
            f"{len(request.models):,} models to merge, at most {MOST_MODELS:,} are merged at once",
            hint="merge fewer models",
        )
    default = toolkit.workspace.merged_model
    out = default if request.out is None else request.out
    model_format, outputs = _written_format(toolkit, out), Outputs.of(out)
    refused = []
    try:
        outputs.check(request.models, replaceable=real_path(out) == real_path(default), force=request.force)
    except UsageError as error:
        if not request.plan:
            raise
        refused = [str(error)]
    progress.note("reading the models")
    models = choose_models(toolkit, request, out)
    if recipe is not None and not models.problems:
        check_digests(recipe, [item.digest for item in models.ingredients])
    state, planned = _plan(toolkit, request, recipe, models, out, progress)
    if request.plan:
        return dataclasses.replace(planned, notes=(*planned.notes, *refused))
    if planned.problems:
        raise refusal(planned.problems)
    for sentence in (*planned.choices, *(f"warning: {pair.sentence}" for pair in state.unrelated)):
        progress.note(sentence)
    with exclusive(out):
        outcome = run(state)
        progress.note("writing")
        digest = _save(toolkit, outcome, out, model_format).weights_digest
        report = make_report(outcome, digest, planned.choices, planned.notes, time.monotonic() - started)
        failure = ""
        try:
            outputs.write(report, planned.recipe)
        except StorageError as error:
            failure = error.message
    return dataclasses.replace(
        planned,
        status="published, report failed" if failure else "published",
        report=report,
        path=out,
        report_html=outputs.report_html,
        report_json=outputs.report_json,
        recipe_file=outputs.recipe,
        failure=failure,
    )


def _from_recipe(request: Merge, recipe: Recipe) -> Merge:
    """The recipe's request; output and permissions may be given beside it."""
    assert request.recipe is not None
    allowed = ("recipe", "out", "plan", "keep_worse", "or_best", "force", "test")
    same = dataclasses.replace(Merge(), **{name: getattr(request, name) for name in allowed})
    if same != request:
        hint = "give only --out, --plan, --keep-worse, --or-best, --force or --test beside it"
        raise UsageError(f"{request.recipe}: a recipe is a whole request", hint=hint)
    _checked_stages(recipe)
    folder = request.recipe.parent
    paths = [Path(os.path.normpath(folder / item.path)) for item in recipe.ingredients]
    dataset = recipe.dataset
    return dataclasses.replace(
        request,
        models=tuple(paths),
        strategy=recipe.strategy,
        options=recipe.options,
        dataset=str(folder / dataset) if "/" in dataset else dataset,
        conventions={
            str(path): item.convention
            for path, item in zip(paths, recipe.ingredients, strict=True)
            if item.convention is not None
        },
        out=Path(os.path.normpath(folder / recipe.output)) if request.out is None else request.out,
        keep_worse=request.keep_worse or recipe.keep_worse,
        or_best=request.or_best or recipe.or_best,
        seed=recipe.seed,
        test=request.test or recipe.test,
        arch=(os.path.normpath(folder / recipe.arch) if "/" in recipe.arch else recipe.arch) or None,
    )


def _plan(
    toolkit: Resources, request: Merge, recipe: Recipe | None, models: Models, out: Path, progress: Progress
) -> tuple[MergeState, Merged]:
    """Make every choice that the request leaves open, and find everything that prevents the merge."""
    ingredients = models.ingredients
    named = None if request.strategy is None else toolkit.catalog.get(MERGE_STRATEGIES, request.strategy)
    strategy = named or _default_strategy(toolkit, with_images=False)
    state = MergeState(Recipe(), strategy, None, ingredients, Images(""), progress=progress)
    problems = [*models.problems, *conform.problems(state)]
    model_format = toolkit.catalog.format_for(out)
    if ingredients and not _holds(model_format, dialect := ingredients[0].model.dialect):
        text = f"a file of format {model_format.name} cannot hold a {dialect} network"
        hint = f"use --out with suffix {_suffixes(toolkit, dialect)}; `toolkit export` converts it"
        problems.append(Problem(out.name, text, hint, UnsupportedError.code))
    images = Images("no data set was opened, because the models cannot be merged")
    choices = list(models.choices)
    if not problems:
        images = choose_images(toolkit, request.dataset, ingredients)
        choices.append(f"scored on {images.reason}" if images.name else images.reason)
    understood = Understood(ingredients)
    if not problems:
        understood = understand(ingredients, images.open("fit") if images.open is not None else None)
        left = understood.ingredients
        if len(left) < 2:
            problems += understood.untrained
        elif left != ingredients:
            state = dataclasses.replace(state, ingredients=left)
            problems += conform.problems(state)
    if request.test and not images.name and not problems:
        raise UsageError("--test needs a data set", hint="name one with --dataset")
    if named is None:
        strategy = _default_strategy(toolkit, with_images=bool(images.name))
        available = "validation images available" if images.name else "no validation images"
        choices.append(f"strategy: {strategy.name} ({available})")
    options = route_options(request.options, {"strategy": strategy.options})["strategy"]
    state = dataclasses.replace(
        state, strategy=strategy, options=options, images=images, doubts=understood.doubts
    )
    resolved = _recipe(toolkit, request, recipe, state, out)
    notes = [*models.notes, *(f"{one.model} is left out: {one.text}" for one in understood.untrained)]
    notes += [*understood.notes, *understood.doubts]
    if ingredients:
        notes += conform.notes(state)
    state, found = plan(dataclasses.replace(state, recipe=resolved), problems)
    choices += state.rewritten
    notes += [f"{pair.sentence}: a mean of their weights is useless" for pair in state.unrelated]
    if request.plan and not found:
        number = f"{recalibrate.options_of(resolved).images:,} images of the fit split of {resolved.dataset}"
        choices.append(recalibrate.skip(state) or f"batch statistics: recalibrated on {number}")
    return state, Merged("planned", resolved, found, tuple(choices), tuple(notes))


def _recipe(
    toolkit: Resources, request: Merge, recipe: Recipe | None, state: MergeState, out: Path
) -> Recipe:
    """The request with every default resolved.

    Paths are relative to the output's folder, in a plan to the working directory: there it is printed.
    """
    folder = Path() if request.plan else out.parent
    dataset = state.images.name or WITHOUT_DATASET
    if request.dataset is not None and Path(request.dataset).exists():
        names = {source.name for source in toolkit.data.sources()}
        dataset = f"./{relative(Path(request.dataset), folder)}" if dataset not in names else dataset
    arch = request.arch or ""
    if arch and Path(arch).is_file():
        arch = f"./{relative(Path(arch), folder)}"
    if recipe is not None:
        options = _checked_stages(recipe)
    else:
        count = request.recalibrate
        if count is None:
            count = recalibrate.default_images(state.model, state.images) if state.ingredients else 0
        options = {"recalibrate": {"images": count, "seed": request.seed}}
    return Recipe(
        strategy=state.strategy.name,
        dataset=dataset,
        output=relative(out, folder),
        seed=request.seed,
        test=request.test,
        keep_worse=request.keep_worse,
        or_best=request.or_best,
        arch=arch,
        ingredients=tuple(
            RecipeIngredient(
                item.name,
                "" if item.model.path is None else printable(relative(item.model.path, folder)),
                item.digest,
                item.model.card.convention,
            )
            for item in sorted(state.ingredients, key=lambda item: item.position)
        ),
        options=options_as_json(state.options),
        stages=options,
    )


def _checked_stages(recipe: Recipe) -> dict[str, dict[str, Any]]:
    known = {stage.name: stage.options for stage in stages.STAGES if stage.options}
    checked = {}
    for name, given in recipe.stages.items():
        if name not in known:
            raise UsageError(
                f"a merge has no stage {shown(name)} with options",
                hint=f"stages with options: {', '.join(known)}",
            )
        checked[name] = options_as_json(options_from_mapping(known[name], given, owner=f"stage {name}"))
    return checked


def is_replaceable(out: Path) -> bool:
    """Whether everything that a merge to this path would replace is of an earlier merge to it."""
    return Outputs.of(out).are_of_a_merge()


def _written_format(toolkit: Resources, out: Path) -> ModelFormat:
    try:
        found = toolkit.catalog.format_for(out)
        what = f"{out}: {found.name} files are read-only here"
    except UnsupportedError as error:
        found, what = None, error.message
    if found is None or found.write is None:
        hint = f"use an output with suffix {_suffixes(toolkit)}, then `toolkit export` it"
        raise UsageError(what, hint=hint)
    return found


def _holds(model_format: ModelFormat, dialect: str) -> bool:
    return not model_format.dialects or dialect in model_format.dialects


def _suffixes(toolkit: Resources, dialect: str | None = None) -> str:
    """Suffixes of the formats that can be written, for networks of a dialect."""
    formats = toolkit.catalog.all(MODEL_FORMATS).values()
    able = [one for one in formats if one.write and (dialect is None or _holds(one, dialect))]
    return ", ".join(sorted(suffix for one in able for suffix in one.suffixes))


def _default_strategy(toolkit: Resources, *, with_images: bool) -> MergeStrategy:
    """The first by rank whose needs can be met with its own defaults."""
    met = set(Need) if with_images else set()
    possible = [
        strategy
        for strategy in toolkit.catalog.all(MERGE_STRATEGIES).values()
        if strategy.exactly is None and strategy.needs_with(strategy.options()) <= met
    ]
    if not possible:
        hint = "see toolkit plugins list, or name a --dataset"
        raise PluginError("no merge strategy can be used with what is available", hint=hint)
    return min(possible, key=lambda strategy: (strategy.rank, strategy.name))


def _save(toolkit: Resources, outcome: Outcome, out: Path, model_format: ModelFormat) -> Card:
    state, result = outcome.state, outcome.state.made
    assert model_format.write is not None  # the plan refused a read-only format
    metrics: dict[str, float] = {}
    for split, found in outcome.merged.items():
        metrics |= {f"{split}_accuracy": found.accuracy, f"{split}_images": float(found.images)}
    cards = [item.model.card for item in state.ingredients]
    images = state.images.open
    card = Card(
        name=out.stem,
        classes=state.classes or (images("validation").classes if images is not None else ()),
        convention=state.convention or (Convention() if images is not None else None),
        architecture=_shared([card.architecture for card in cards]),
        dataset=state.images.name or _shared([card.dataset for card in cards]),
        metrics=metrics,
        made_by="merge",
        parents=tuple(
            Parent(printable(item.model.name), item.digest, share)
            for item, share in zip(state.ingredients, result.shares, strict=True)
            if share > 0
        ),
        settings={
            "strategy": state.strategy.name,
            "options": dict(state.recipe.options),
            "recalibrated_on": state.reports[-1].figures.get("images", 0),
            "verdict": outcome.verdicts["validation"].sentence,
        },
        seed=state.recipe.seed,
    )
    read = reader_of(toolkit.catalog, model_format, state.model)
    return save_model(state.model.with_card(card), out, write=model_format.write, read=read)


def _shared(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""
